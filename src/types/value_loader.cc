#include "types/value_loader.h"

#include <cstring>

#include "types/string_value.h"

namespace fluxkv::types {

engine::VersionPtr TypeLoader::Load(uint8_t type, uint8_t encoding, int64_t expiry_ms,
                                    std::string_view payload) const {
  const bool is_int = encoding == static_cast<uint8_t>(StringEncoding::kInt);
  if (type != kTypeString || encoding > static_cast<uint8_t>(StringEncoding::kRaw) ||
      (is_int && payload.size() != sizeof(int64_t)))
    return nullptr;
  engine::VersionPtr version = engine::Version::New(type, encoding, expiry_ms, payload.size());
  std::memcpy(version->mutable_payload(), payload.data(), payload.size());
  return version;
}

}  // namespace fluxkv::types
