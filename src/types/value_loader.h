// Makes values out of what a log, a snapshot or another program's file holds, for all types that
// there are.
// Threads: any, it has no state.
// Errors:  null, as engine::ValueLoader.
#pragma once

#include "engine/log_record.h"

namespace fluxkv::types {

class TypeLoader : public engine::ValueLoader {
 public:
  engine::VersionPtr Load(uint8_t type, uint8_t encoding, int64_t expiry_ms,
                          std::string_view payload) const override;
};

}  // namespace fluxkv::types
