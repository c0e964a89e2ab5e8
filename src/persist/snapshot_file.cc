#include "persist/snapshot_file.h"

#include <cstddef>
#include <cstring>

namespace fluxkv::persist {

namespace {

constexpr size_t kBlockBytes = 256 * 1024;
// Synced as it is written, so that the last sync has little left and disturbs the log little.
constexpr uint64_t kSyncEveryBytes = 32 << 20;

template <class T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

uint64_t BlockChecksum(std::string_view block, uint64_t log_id, uint64_t number) {
  return Checksum(block.substr(sizeof(uint64_t)), log_id + number);
}

}  // namespace

SnapshotWriter::SnapshotWriter(FileSystem& files, std::string directory, uint64_t log_id)
    : files_(files), directory_(std::move(directory)), log_id_(log_id) {}

SnapshotWriter::~SnapshotWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  // What was begun is of no use; the next start removes it if this fails.
  static_cast<void>(files_.Remove(directory_ + "/" + std::string(kSnapshotTemporaryName)));
}

Status SnapshotWriter::Begin(Stamp stamp, int64_t time_ms, uint32_t databases) {
  stamp_ = stamp;
  auto file =
      files_.Open(directory_ + "/" + std::string(kSnapshotTemporaryName), OpenMode::kCreate);
  if (!file.ok()) return std::move(file).status();
  file_ = std::move(file.value());
  SnapshotHeader header;
  header.databases = databases;
  header.log_id = log_id_;
  header.stamp = stamp;
  header.time_ms = time_ms;
  Status status = file_->WriteAt(0, Encode(header));
  offset_ = sizeof(header);
  return status;
}

Status SnapshotWriter::WriteBlock(BlockKind kind, uint32_t db, uint64_t keys,
                                  std::string_view body) {
  BlockHeader header;
  header.body_bytes = body.size();
  header.kind = static_cast<uint32_t>(kind);
  header.db = db;
  header.keys = keys;
  bytes_.assign(BytesOf(header));
  bytes_.append(body);
  const uint64_t checksum = BlockChecksum(bytes_, log_id_, blocks_++);
  std::memcpy(bytes_.data(), &checksum, sizeof(checksum));
  Status status = file_->WriteAt(offset_, bytes_);
  offset_ += bytes_.size();
  if (!status.ok() || offset_ - synced_offset_ < kSyncEveryBytes) return status;
  synced_offset_ = offset_;
  return file_->Sync();
}

Status SnapshotWriter::FlushKeys() {
  if (body_keys_ == 0) return {};
  Status status = WriteBlock(BlockKind::kKeys, db_, body_keys_, body_);
  body_.clear();
  body_keys_ = 0;
  return status;
}

Status SnapshotWriter::BeginDatabase(uint32_t db, uint64_t keys_about) {
  Status status = FlushKeys();
  if (!status.ok()) return status;
  db_ = db;
  return WriteBlock(BlockKind::kDatabase, db, keys_about, {});
}

Status SnapshotWriter::Add(uint32_t db, std::string_view key, const engine::Version& version) {
  engine::AppendPutHead(&body_, db, key, version);
  body_.append(version.payload());
  ++body_keys_;
  ++keys_;
  return body_.size() < kBlockBytes ? Status() : FlushKeys();
}

Status SnapshotWriter::Finish() {
  Status status = FlushKeys();
  if (status.ok()) status = WriteBlock(BlockKind::kEnd, 0, keys_, {});
  if (status.ok()) status = file_->Sync();
  if (!status.ok()) return status;
  const std::string from = directory_ + "/" + std::string(kSnapshotTemporaryName);
  status = files_.Rename(from, directory_ + "/" + SnapshotName(stamp_));
  if (!status.ok()) return status;
  file_.reset();
  return files_.SyncDirectory(directory_);
}

SnapshotReader::SnapshotReader(std::unique_ptr<File> file, SnapshotHeader header, uint64_t size)
    : file_(std::move(file)), header_(header), size_(size), offset_(sizeof(SnapshotHeader)) {}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::Open(FileSystem& files,
                                                             const std::string& path,
                                                             const SnapshotHeader* instead) {
  auto file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return std::move(file).status();
  auto size = file.value()->Size();
  if (!size.ok()) return std::move(size).status();
  std::string bytes(sizeof(SnapshotHeader), '\0');
  auto got = file.value()->ReadAt(0, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  bytes.resize(got.value());
  auto header = instead != nullptr ? std::optional(*instead) : DecodeSnapshotHeader(bytes);
  if (!header)
    return Status::Error(path +
                         " at 0: the snapshot's header is damaged; fluxkv-check shows the "
                         "whole directory and can save what is good, keeping a copy");
  return std::unique_ptr<SnapshotReader>(
      new SnapshotReader(std::move(file.value()), *header, size.value()));
}

Status SnapshotReader::Damaged(const std::string& what) const {
  return Status::Error(
      file_->path() + " at " + std::to_string(offset_) + ": the snapshot is " + what +
      "; fluxkv-check shows the whole directory and can save what is good, keeping "
      "a copy");
}

Result<SnapshotReader::Block> SnapshotReader::Next() {
  next_offset_ = 0;
  BlockHeader header;
  if (size_ - offset_ < sizeof(header)) return Damaged("cut short");
  buffer_.resize(sizeof(header));
  auto got = file_->ReadAt(offset_, buffer_.data(), sizeof(header));
  if (!got.ok()) return std::move(got).status();
  std::memcpy(&header, buffer_.data(), sizeof(header));
  if (header.body_bytes > size_ - offset_ - sizeof(header)) return Damaged("damaged or cut short");
  const auto size = static_cast<size_t>(sizeof(header) + header.body_bytes);
  if (header.kind < static_cast<uint32_t>(BlockKind::kDatabase) ||
      header.kind > static_cast<uint32_t>(BlockKind::kEnd)) {
    next_offset_ = offset_ + size;
    return Damaged("damaged: there is no such kind of block");
  }
  buffer_.resize(size);
  got = file_->ReadAt(offset_ + sizeof(header), buffer_.data() + sizeof(header),
                      size - sizeof(header));
  if (!got.ok()) return std::move(got).status();
  if (got.value() != size - sizeof(header)) return Damaged("cut short");
  if (BlockChecksum(buffer_, header_.log_id, blocks_) != header.checksum) {
    next_offset_ = offset_ + size;
    return Damaged("damaged: a block's checksum is wrong");
  }
  ++blocks_;
  offset_ += size;
  const auto kind = static_cast<BlockKind>(header.kind);
  if (kind == BlockKind::kKeys) keys_ += header.keys;
  if (kind == BlockKind::kEnd && ((header.keys != keys_ && !skipped_) || offset_ != size_))
    return Damaged("damaged: its end does not fit");
  return Block{kind, header.db, header.keys, std::string_view(buffer_).substr(sizeof(header))};
}

bool SnapshotReader::SkipDamaged() {
  if (next_offset_ == 0) return false;
  offset_ = next_offset_;
  skipped_ = true;
  ++blocks_;
  return true;
}

Result<SnapshotFiles> FindSnapshots(FileSystem& files, const std::string& directory) {
  auto names = files.List(directory);
  if (!names.ok()) return std::move(names).status();
  SnapshotFiles found;
  Stamp newest = 0;
  for (const std::string& name : names.value()) {
    auto stamp = SnapshotStamp(name);
    if (!stamp) continue;
    if (found.newest && *stamp <= newest) {
      found.older.push_back(directory + "/" + name);
      continue;
    }
    if (found.newest) found.older.push_back(*found.newest);
    found.newest = directory + "/" + name;
    newest = *stamp;
  }
  return found;
}

}  // namespace fluxkv::persist
