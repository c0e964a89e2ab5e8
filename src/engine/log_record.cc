#include "engine/log_record.h"

#include <bit>
#include <cstring>

#include "base/limits.h"

namespace fluxkv::engine {

static_assert(std::endian::native == std::endian::little);

namespace {

template <class T>
void AppendRaw(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <class T>
bool TakeRaw(std::string_view* rest, T* value) {
  if (rest->size() < sizeof(T)) return false;
  std::memcpy(value, rest->data(), sizeof(T));
  rest->remove_prefix(sizeof(T));
  return true;
}

bool TakeBytes(std::string_view* rest, size_t size, std::string_view* bytes) {
  if (rest->size() < size) return false;
  *bytes = rest->substr(0, size);
  rest->remove_prefix(size);
  return true;
}

void AppendHead(std::string* out, const ChangeHeader& header, int64_t expiry_ms,
                std::string_view key) {
  AppendRaw(out, header);
  if (header.has_expiry != 0) AppendRaw(out, expiry_ms);
  out->append(key);
}

}  // namespace

size_t PutBytes(size_t key_bytes, bool has_expiry, size_t value_bytes) {
  return sizeof(ChangeHeader) + (has_expiry ? sizeof(int64_t) : 0) + key_bytes + value_bytes;
}

void AppendPutHead(std::string* out, uint32_t db, std::string_view key, const Version& version) {
  AppendHead(out,
             {.kind = static_cast<uint8_t>(ChangeKind::kPut),
              .type = version.type(),
              .encoding = version.encoding(),
              .has_expiry = version.has_expiry(),
              .db = db,
              .key_bytes = static_cast<uint32_t>(key.size()),
              .value_bytes = static_cast<uint32_t>(version.size())},
             version.expiry_ms(), key);
}

void AppendPut(std::string* out, const Change& change) {
  AppendHead(out,
             {.kind = static_cast<uint8_t>(ChangeKind::kPut),
              .type = change.type,
              .encoding = change.encoding,
              .has_expiry = change.expiry_ms != kNoExpiry,
              .db = change.db,
              .key_bytes = static_cast<uint32_t>(change.key.size()),
              .value_bytes = static_cast<uint32_t>(change.value.size())},
             change.expiry_ms, change.key);
  out->append(change.value);
}

void AppendDelete(std::string* out, uint32_t db, std::string_view key) {
  AppendHead(out,
             {.kind = static_cast<uint8_t>(ChangeKind::kDelete),
              .db = db,
              .key_bytes = static_cast<uint32_t>(key.size())},
             kNoExpiry, key);
}

void AppendDeleteRange(std::string* out, uint32_t db, const KeyInterval& interval) {
  const std::string_view high = interval.high ? std::string_view(*interval.high) : "";
  AppendHead(out,
             {.kind = static_cast<uint8_t>(ChangeKind::kDeleteRange),
              .db = db,
              .key_bytes = static_cast<uint32_t>(interval.low.size()),
              .value_bytes = static_cast<uint32_t>(high.size())},
             kNoExpiry, interval.low);
  out->append(high);
}

KeyInterval Change::interval() const {
  KeyInterval interval{std::string(key), std::nullopt};
  if (!value.empty()) interval.high = std::string(value);
  return interval;
}

void AppendRoots(std::string* out, const std::vector<RootChange>& roots) {
  AppendRaw(out,
            ChangeHeader{.kind = static_cast<uint8_t>(ChangeKind::kRoots),
                         .value_bytes = static_cast<uint32_t>(roots.size() * sizeof(RootChange))});
  for (const RootChange& root : roots) AppendRaw(out, root);
}

bool ChangeReader::Next(Change* change) {
  if (rest_.empty() || damaged_) return false;
  ChangeHeader header;
  if (!TakeRaw(&rest_, &header)) return Damaged();
  if (header.kind < static_cast<uint8_t>(ChangeKind::kPut) ||
      header.kind > static_cast<uint8_t>(ChangeKind::kDeleteRange) || header.has_expiry > 1 ||
      header.key_bytes > limits::kKeyBytesMax + 1 || header.value_bytes > limits::kValueBytesMax)
    return Damaged();
  change->kind = static_cast<ChangeKind>(header.kind);
  change->db = header.db;
  change->type = header.type;
  change->encoding = header.encoding;
  change->expiry_ms = kNoExpiry;
  change->roots.clear();
  if (header.has_expiry != 0 && !TakeRaw(&rest_, &change->expiry_ms)) return Damaged();
  if (!TakeBytes(&rest_, header.key_bytes, &change->key)) return Damaged();
  if (!TakeBytes(&rest_, header.value_bytes, &change->value)) return Damaged();
  // The next key behind the longest may be a bound.
  const bool is_range = change->kind == ChangeKind::kDeleteRange;
  if (is_range) return (change->value.empty() || change->key < change->value) || Damaged();
  if (header.key_bytes > limits::kKeyBytesMax) return Damaged();
  if (change->kind == ChangeKind::kPut) return true;
  if (change->kind == ChangeKind::kDelete) return change->value.empty() || Damaged();
  for (std::string_view roots = change->value; !roots.empty();) {
    RootChange root;
    if (!TakeRaw(&roots, &root)) return Damaged();
    change->roots.push_back(root);
  }
  return true;
}

}  // namespace fluxkv::engine
