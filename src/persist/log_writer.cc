#include "persist/log_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/check.h"
#include "base/planted.h"

namespace fluxkv::persist {

namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kZerosBehind = sizeof(engine::RecordHeader);
constexpr size_t kSpareBuffersMax = 16;  // fresh memory costs page faults
// Then the disk may refuse just this place.
constexpr int kTriesInPlace = 3;

template <class Field>
Field Get(const char* record, size_t offset) {
  Field field;
  std::memcpy(&field, record + offset, sizeof(field));
  return field;
}
template <class Field>
void Set(char* record, size_t offset, Field field) {
  std::memcpy(record + offset, &field, sizeof(field));
}

// Fills in what the log adds to a record.
void Seal(char* record, Stamp synced, uint64_t log_id) {
  using engine::RecordHeader;
  const auto body = Get<uint64_t>(record, offsetof(RecordHeader, body_bytes));
  Set(record, offsetof(RecordHeader, synced_stamp), synced);
  Set(record, offsetof(RecordHeader, checksum),
      RecordChecksum({record, sizeof(RecordHeader) + static_cast<size_t>(body)}, log_id));
}

}  // namespace

Status SyncJob::Run() const {
  for (const auto& file : files) {
    Status status = file->Sync();
    if (!status.ok()) return status;
  }
  return {};
}

LogWriter::LogWriter(FileSystem& files, SegmentPool& pool, std::string directory, uint64_t log_id)
    : files_(files), pool_(pool), directory_(std::move(directory)), log_id_(log_id) {}

std::string LogWriter::PathOf(uint64_t number) const {
  return directory_ + "/" + SegmentName(number);
}

uint64_t LogWriter::bytes_used() const {
  uint64_t bytes = 0;
  for (const SegmentInUse& s : used_) bytes += s.capacity;
  return bytes;
}

void LogWriter::Adopt(LogEnd end) {
  ASSERT(tail_.empty() && current_ == nullptr);
  used_.assign(end.segments.begin(), end.segments.end());
  dirty_.clear();
  written_place_ = synced_place_ = at_ = end.place;
  written_stamp_ = synced_stamp_ = end.last_stamp;
  needs_snapshot_ = end.needs_snapshot;
  unsynced_bytes_ = 0;
  blocked_ = failed_ = distrusted_ = needy_ = ending_ = false;
}

LogEnd LogWriter::end() const {
  LogEnd end;
  end.segments.assign(used_.begin(), used_.end());
  end.place = synced_place_;
  end.last_stamp = synced_stamp_;
  end.needs_snapshot = needs_snapshot_;
  return end;
}

void LogWriter::Stop() {
  current_.reset();
  tail_number_ += tail_.size();
  tail_.clear();
  open_ = reopened_ = false;
  spare_buffers_.clear();
  dirty_.clear();
  pending_ = 0;
  unsynced_bytes_ = 0;
  at_ = written_place_ = synced_place_;
  written_stamp_ = synced_stamp_;
  blocked_ = failed_ = false;  // not distrusted_: Begin will remove what is behind
}

Status LogWriter::Begin(LogEnd end, int64_t time_ms) {
  Adopt(std::move(end));
  time_ms_ = time_ms;
  // Of a log that was stopped there may be segments in which nothing was ever on disk.
  Status untrusted = RemoveSegments(synced_place_.segment + 1);
  if (!untrusted.ok()) return untrusted;
  // A kill leaves records that the system has and the disk has not; what is written now counts on
  // them.
  for (const SegmentInUse& s : used_) {
    auto file = files_.Open(s.path, OpenMode::kReadWrite);
    if (!file.ok()) return std::move(file).status();
    Status status = file.value()->Sync();
    if (!status.ok()) return status;
  }
  Status status = NextSegment(nullptr, time_ms);
  if (status.ok()) return {};
  // As if it had not been tried: the next one begins the same segment.
  current_.reset();
  while (!used_.empty() && used_.back().number > synced_place_.segment) used_.pop_back();
  at_ = synced_place_;
  return status;
}

size_t LogWriter::RecordEndFrom(const Chunk& chunk, size_t at) {
  return at + static_cast<size_t>(engine::RecordBytes(
                  Get<uint64_t>(chunk.records() + at, offsetof(engine::RecordHeader, body_bytes))));
}

// Bytes from chunk.written to the end of the record that is there; none when it ends there.
uint64_t LogWriter::RecordBytesLeft(const Chunk& chunk) {
  size_t end = 0;
  while (end < chunk.written) end = RecordEndFrom(chunk, end);
  return end - chunk.written;
}

// Of the last record that begins before what is to be written next.
Stamp LogWriter::LastStampBefore(const Chunk& chunk) const {
  Stamp stamp = written_stamp_;
  for (size_t at = 0; at < chunk.written; at = RecordEndFrom(chunk, at))
    stamp = Get<Stamp>(chunk.records() + at, offsetof(engine::RecordHeader, stamp));
  return stamp;
}

// `chunk` is what will be written next, null at the start of a log.
Status LogWriter::NextSegment(const Chunk* chunk, int64_t time_ms,
                              const std::function<Status(File&)>& fill) {
  const uint64_t number = at_.segment + 1;
  const uint64_t record_left = chunk == nullptr ? 0 : RecordBytesLeft(*chunk);
  SegmentHeader header;
  header.log_id = log_id_;
  header.number = number;
  header.capacity = pool_.segment_bytes();
  header.base_stamp = chunk == nullptr ? written_stamp_ : LastStampBefore(*chunk);
  header.previous_end = at_.offset;
  header.first_record = std::min(kSegmentHeaderBytes + record_left, header.capacity);
  header.needs_snapshot = needs_snapshot_;
  header.time_ms = time_ms;
  std::string block = Encode(header);
  block.resize(kSegmentHeaderBytes);
  auto file = pool_.Take(PathOf(number), block, fill);
  if (!file.ok()) return std::move(file).status();
  used_.push_back({number, PathOf(number), header.base_stamp, header.capacity});
  current_ = std::move(file.value());
  capacity_ = header.capacity;
  needy_ = false;
  at_ = {number, kSegmentHeaderBytes};
  block_of_ = {};  // and if the same place could be another log's
  return {};
}

Status LogWriter::Append(const engine::LogRecords& records, int64_t time_ms, Way way) {
  if (records.begins.empty()) return {};
  time_ms_ = time_ms;
  Status status = LeaveNeedy();
  failed_ |= !status.ok();
  Keep(records);
  return status.ok() ? WriteTail(time_ms, way) : std::move(status);
}

void LogWriter::Keep(const engine::LogRecords& records) {
  if (records.begins.empty()) return;
  const size_t size = records.bytes.size();
  Chunk& chunk = ChunkFor(size);
  char* const to = chunk.records() + chunk.size;
  std::memcpy(to, records.bytes.data(), size);
  std::memset(to + size, 0, kZerosBehind);
  for (const size_t begin : records.begins) Seal(to + begin, synced_stamp_, log_id_);
  chunk.size += size;
  chunk.last = records.last;
  unsynced_bytes_ += size;
}

// The last chunk if it takes so many bytes more, else a new one. Only what can be written here and
// now is added, so that a chunk which has to wait for room keeps nothing back that was written.
LogWriter::Chunk& LogWriter::ChunkFor(size_t size) {
  if (open_ && all_written() && !failed_ && size <= capacity_ - at_.offset &&
      tail_.back().lead + tail_.back().size + size + kZerosBehind <=
          tail_.back().buffer.capacity()) {
    pending_ = tail_.size() - 1;
    reopened_ = true;
    return tail_.back();
  }
  PageBuffer buffer;
  const size_t lead = at_.offset % File::kBlockBytes;
  if (lead + size + kZerosBehind > kChunkBytes) {
    buffer = PageBuffer(lead + size + kZerosBehind);
  } else if (spare_buffers_.empty()) {
    buffer = PageBuffer(kChunkBytes);
  } else {
    buffer = std::move(spare_buffers_.back());
    spare_buffers_.pop_back();
  }
  tail_.push_back({.buffer = std::move(buffer), .lead = lead});
  open_ = true;
  return tail_.back();
}

uint64_t LogWriter::unwritten_bytes() const {
  uint64_t bytes = 0;
  for (size_t i = pending_; i < tail_.size(); ++i) bytes += tail_[i].size - tail_[i].written;
  return bytes;
}

Status LogWriter::LeaveNeedy() {
  if (!needy_ || failed_ || current_ == nullptr || !tail_.empty() || !has_room()) return {};
  return NextSegment(nullptr, time_ms_);
}

Status LogWriter::WriteTail(int64_t time_ms, Way way) {
  if (failed_) return {};
  Status status = way == Way::kThrough && CanGoThrough() ? WriteThrough() : WritePending(time_ms);
  failed_ = !status.ok();
  return status;
}

// Whether all that is not on disk is one chunk that has not been begun and ends in this segment.
bool LogWriter::CanGoThrough() const {
  if (current_ == nullptr || !dirty_.empty() || pending_ + 1 != tail_.size()) return false;
  if (pending_ != 0 && !PLANTED(THROUGH_BESIDE_UNSYNCED)) return false;
  const Chunk& chunk = tail_.back();
  return chunk.written == 0 && chunk.lead == at_.offset % File::kBlockBytes &&
         chunk.size <= capacity_ - at_.offset;
}

Status LogWriter::WriteThrough() {
  Chunk& chunk = tail_.back();
  const uint64_t begin = at_.offset - chunk.lead;
  if (block_of_ == at_ || PLANTED(THROUGH_STALE_BLOCK)) {
    std::memcpy(chunk.buffer.data(), block_.data(), chunk.lead);
  } else {  // it was written through the cache
    auto got = current_->ReadAt(begin, chunk.buffer.data(), chunk.lead);
    if (!got.ok()) return std::move(got).status();
    if (got.value() != chunk.lead)
      return Status::Error(ErrorKind::kIo, current_->path() + " has become shorter");
  }
  const size_t end = chunk.lead + chunk.size;
  const size_t whole =
      (end + kZerosBehind + File::kBlockBytes - 1) / File::kBlockBytes * File::kBlockBytes;
  const auto size = static_cast<size_t>(std::min<uint64_t>(whole, capacity_ - begin));
  std::memset(chunk.buffer.data() + end, 0, size - end);
  const std::string_view blocks{chunk.buffer.data(), size};
  Status status =
      PLANTED(SKIP_SYNC) ? current_->WriteAt(begin, blocks) : current_->WriteThrough(begin, blocks);
  if (!status.ok()) {
    SetSyncFailed();
    return status;
  }
  chunk.written = chunk.size;
  at_.offset += chunk.size;
  block_of_ = at_;
  const size_t last = end % File::kBlockBytes;
  std::memcpy(block_.data(), chunk.buffer.data() + (end - last), last);
  ++pending_;
  written_stamp_ = chunk.last;
  written_place_ = at_;
  open_ = reopened_ = false;
  EndSync({.files = {}, .chunks = tail_number_ + pending_, .place = written_place_});
  return {};
}

Status LogWriter::WritePending(int64_t time_ms) {
  blocked_ = false;
  for (; pending_ < tail_.size(); ++pending_) {
    Chunk& chunk = tail_[pending_];
    while (chunk.written < chunk.size) {
      if (at_.offset == capacity_) {
        const bool allowed = ending_ || has_room() ||
                             RecordBytesLeft(chunk) >= pool_.segment_bytes() - kSegmentHeaderBytes;
        if (!allowed) {  // W4
          blocked_ = true;
          return {};
        }
        Status status = NextSegment(&chunk, time_ms);
        if (!status.ok()) return status;
      }
      const auto room = static_cast<size_t>(capacity_ - at_.offset);
      const size_t size = std::min(chunk.size - chunk.written, room);
      const size_t with_zeros = std::min(chunk.size + kZerosBehind - chunk.written, room);
      Status status = current_->WriteAt(at_.offset, {chunk.records() + chunk.written, with_zeros});
      if (!status.ok()) return status;
      if (dirty_.empty() || dirty_.back() != current_) dirty_.push_back(current_);
      chunk.written += size;
      at_.offset += size;
    }
    written_stamp_ = chunk.last;
    written_place_ = at_;
    reopened_ = false;
  }
  return {};
}

SyncJob LogWriter::BeginSync() {
  DEBUG_ASSERT(!reopened_);
  SyncJob job{std::move(dirty_), tail_number_ + pending_, written_place_};
  dirty_.clear();
  open_ = open_ && !all_written();  // what is in the job ends there
  return job;
}

void LogWriter::EndSync(const SyncJob& job) {
  for (; tail_number_ < job.chunks; ++tail_number_, --pending_) {
    synced_stamp_ = tail_.front().last;
    unsynced_bytes_ -= tail_.front().size;
    PageBuffer& buffer = tail_.front().buffer;
    if (buffer.capacity() == kChunkBytes && spare_buffers_.size() < kSpareBuffersMax)
      spare_buffers_.push_back(std::move(buffer));
    tail_.pop_front();
  }
  synced_place_ = job.place;
}

Status LogWriter::Sync() {
  const SyncJob job = BeginSync();
  Status status = PLANTED(SKIP_SYNC) ? Status() : job.Run();
  if (!status.ok()) {
    SetSyncFailed();
    return status;
  }
  EndSync(job);
  return {};
}

// Those with this number and above, those that were taken and could not be begun as well.
Status LogWriter::RemoveSegments(uint64_t from) {
  while (!used_.empty() && used_.back().number >= from) used_.pop_back();
  auto names = files_.List(directory_);
  if (!names.ok()) return std::move(names).status();
  // From the last one on, so that a crash in between leaves no gap.
  for (auto name = names.value().rbegin(); name != names.value().rend(); ++name) {
    const auto number = SegmentNumber(*name);
    if (!number || *number < from) continue;
    Status status = files_.Remove(PathOf(*number));
    if (!status.ok()) return status;
  }
  return files_.SyncDirectory(directory_);
}

Status LogWriter::WriteTailInto(File& file) const {
  uint64_t at = kSegmentHeaderBytes;
  for (const Chunk& chunk : tail_) {
    if (PLANTED(FORGET_TAIL)) break;
    Status status = file.WriteAt(at, {chunk.records(), chunk.size + kZerosBehind});
    if (!status.ok()) return status;
    at += chunk.size;
  }
  return file.Sync();
}

// After a failed write into the cache the files are what they were said to be: it is tried again in
// place, so that records which were handed to the system stay there all the time.
Status LogWriter::MendInPlace(int64_t time_ms) {
  Status status = WritePending(time_ms);
  if (status.ok()) status = Sync();
  failed_ = !status.ok();
  tries_in_place_ = failed_ ? tries_in_place_ + 1 : 0;
  return status;
}

Status LogWriter::Mend(int64_t time_ms) {
  failed_ = true;
  if (!distrusted_ && current_ != nullptr && tries_in_place_ < kTriesInPlace)
    return MendInPlace(time_ms);
  distrusted_ = true;
  current_.reset();
  dirty_.clear();
  while (!used_.empty() && used_.back().number > synced_place_.segment) used_.pop_back();
  at_ = written_place_ = synced_place_;
  written_stamp_ = synced_stamp_;
  pending_ = 0;
  open_ = reopened_ = false;
  for (Chunk& chunk : tail_) chunk.written = 0;
  const uint64_t number = synced_place_.segment + 1;
  // With the zeros behind, so that what the next segment held does not follow.
  const bool fits =
      unsynced_bytes_ + sizeof(engine::RecordHeader) <= pool_.segment_bytes() - kSegmentHeaderBytes;
  Status status = NextSegment(nullptr, time_ms, [&](File& file) {
    return fits ? WriteTailInto(file) : RemoveSegments(number);
  });
  if (status.ok() && fits) {
    for (; pending_ < tail_.size(); ++pending_) {
      Chunk& chunk = tail_[pending_];
      chunk.written = chunk.size;
      at_.offset += chunk.size;
      written_stamp_ = chunk.last;
    }
    written_place_ = at_;
    status = RemoveSegments(number + 1);
  }
  if (status.ok()) status = WritePending(time_ms);
  if (status.ok()) status = Sync();
  failed_ = distrusted_ = !status.ok();
  tries_in_place_ = 0;
  return status;
}

Status LogWriter::SnapshotDone(Stamp stamp) {
  if (needs_snapshot_ != 0 && needs_snapshot_ <= stamp) {
    needs_snapshot_ = 0;
    needy_ = true;
    Status status = LeaveNeedy();
    if (!status.ok()) return status;
  }
  // W3: base_stamp of the next one is the newest that begins here or before. A log that is stopped
  // needs none; one that was not mended keeps the last, for behind it there are segments which
  // nothing trusts, and a start that met them alone would take it for missing.
  while (used_.size() > 1 ? used_[1].base_stamp <= stamp || PLANTED(RECYCLE_EARLY)
                          : !used_.empty() && current_ == nullptr && !failed_ && !distrusted_ &&
                                written_stamp_ <= stamp) {
    Status status = pool_.Give(used_.front().path, used_.size() - 1);
    if (!status.ok()) return status;
    used_.pop_front();
  }
  return {};
}

}  // namespace fluxkv::persist
