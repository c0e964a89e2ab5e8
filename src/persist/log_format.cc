#include "persist/log_format.h"

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/hash.h"
#include "base/parse.h"

namespace fluxkv::persist {
namespace {

constexpr std::string_view kSegmentPrefix = "log-", kSegmentSuffix = ".seg";
constexpr std::string_view kSnapshotPrefix = "snapshot-", kSnapshotSuffix = ".snap";
constexpr std::string_view kSparePrefix = "spare-";

std::string Padded(uint64_t number, size_t digits) {
  std::string text = std::to_string(number);
  return text.size() < digits ? std::string(digits - text.size(), '0') + text : text;
}

std::optional<uint64_t> NumberIn(std::string_view name, std::string_view prefix,
                                 std::string_view suffix) {
  if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) ||
      !name.ends_with(suffix))
    return std::nullopt;
  return ParseUint64(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
}

template <class Header>
std::string EncodeHeader(Header header, const char (&magic)[8]) {
  std::memcpy(header.magic, magic, sizeof(magic));
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  const uint64_t checksum =
      Checksum(std::string_view(bytes).substr(0, offsetof(Header, checksum)), header.log_id);
  std::memcpy(&bytes[offsetof(Header, checksum)], &checksum, sizeof(checksum));
  return bytes;
}

template <class Header>
std::optional<Header> DecodeHeader(std::string_view bytes, const char (&magic)[8]) {
  Header header;
  if (bytes.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, magic, sizeof(magic)) != 0 || header.format != kFormat)
    return std::nullopt;
  if (Checksum(bytes.substr(0, offsetof(Header, checksum)), header.log_id) != header.checksum)
    return std::nullopt;
  return header;
}

}  // namespace

uint64_t Checksum(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string Encode(SegmentHeader header) {
  return EncodeHeader(header, kSegmentMagic);
}
std::string Encode(SnapshotHeader header) {
  return EncodeHeader(header, kSnapshotMagic);
}
std::optional<SegmentHeader> DecodeSegmentHeader(std::string_view bytes) {
  auto header = DecodeHeader<SegmentHeader>(bytes, kSegmentMagic);
  if (header &&
      (header->header_bytes != kSegmentHeaderBytes || header->capacity < kSegmentBytesMin ||
       header->capacity > kSegmentBytesMax || header->number == 0 ||
       header->first_record < kSegmentHeaderBytes || header->first_record > header->capacity))
    return std::nullopt;
  return header;
}
std::optional<SnapshotHeader> DecodeSnapshotHeader(std::string_view bytes) {
  return DecodeHeader<SnapshotHeader>(bytes, kSnapshotMagic);
}

uint64_t RecordChecksum(std::string_view record, uint64_t log_id) {
  return Checksum(record.substr(sizeof(uint64_t)), log_id);
}

std::string SegmentName(uint64_t number) {
  return std::string(kSegmentPrefix) + Padded(number, 10) + std::string(kSegmentSuffix);
}
std::optional<uint64_t> SegmentNumber(std::string_view name) {
  return NumberIn(name, kSegmentPrefix, kSegmentSuffix);
}
std::string SnapshotName(Stamp stamp) {
  return std::string(kSnapshotPrefix) + Padded(stamp, 20) + std::string(kSnapshotSuffix);
}
std::optional<Stamp> SnapshotStamp(std::string_view name) {
  return NumberIn(name, kSnapshotPrefix, kSnapshotSuffix);
}
std::string SpareName(uint64_t number) {
  return std::string(kSparePrefix) + Padded(number, 10) + std::string(kSegmentSuffix);
}
bool IsSpareName(std::string_view name) {
  return NumberIn(name, kSparePrefix, kSegmentSuffix).has_value();
}

}  // namespace fluxkv::persist
