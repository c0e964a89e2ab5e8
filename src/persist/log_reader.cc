#include "persist/log_reader.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fluxkv::persist {

namespace {

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kAlwaysHashedBytes = 64 * 1024;
constexpr uint64_t kHashedBytesMax = uint64_t{16} << 30;
constexpr size_t kPlaceStep = 8;  // records begin at multiples of it
constexpr std::string_view kWayOn =
    "; fluxkv-check shows the whole directory and can cut the log there, keeping a copy";

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

}  // namespace

Result<SegmentFiles> FindSegments(FileSystem& files, const std::string& directory,
                                  std::optional<uint64_t> log_id) {
  auto names = files.List(directory);
  if (!names.ok()) return std::move(names).status();
  std::vector<std::pair<uint64_t, std::string>> numbered;
  for (const std::string& name : names.value()) {
    if (auto number = SegmentNumber(name)) numbered.emplace_back(*number, directory + "/" + name);
  }
  std::sort(numbered.begin(), numbered.end());
  SegmentFiles found;
  for (const auto& [number, path] : numbered) {
    auto file = files.Open(path, OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    std::string bytes(kSegmentHeaderBytes, '\0');
    auto got = file.value()->ReadAt(0, bytes.data(), bytes.size());
    if (!got.ok()) return std::move(got).status();
    bytes.resize(got.value());
    const auto header = DecodeSegmentHeader(bytes);
    // A segment gets its name after its header is on disk (SegmentPool::Take).
    if (header && header->number == number) {
      if (log_id && *log_id != header->log_id)
        return Status::Error(path + " belongs to another log than the files beside it" +
                             std::string(kWayOn));
      log_id = header->log_id;
      found.good.push_back({path, *header});
    } else {
      return Status::Error(path + " at 0: the segment's header is damaged" + std::string(kWayOn));
    }
  }
  return found;
}

LogReader::LogReader(FileSystem& files, std::vector<SegmentFile> segments)
    : files_(files), segments_(std::move(segments)) {}

Result<std::unique_ptr<LogReader>> LogReader::Open(FileSystem& files, SegmentFiles found,
                                                   Stamp after) {
  std::vector<SegmentFile>& segments = found.good;
  std::unique_ptr<LogReader> reader(new LogReader(files, {}));
  reader->last_stamp_ = after;
  // From the first segment on that needs a newer snapshot than there is: commits before it were not
  // recorded, and the snapshot that was to hold them was not finished.
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].header.needs_snapshot <= after) continue;
    // Once it is finished, segments begin that do not need it.
    if (segments.back().header.needs_snapshot < segments[i].header.needs_snapshot)
      return Status::Error(segments[i].path + ": the log stands on a snapshot with stamp " +
                           std::to_string(segments[i].header.needs_snapshot) +
                           " or later, which is missing; put it back, or see fluxkv-check");
    for (size_t useless = i; useless < segments.size(); ++useless)
      reader->useless_.push_back(segments[useless].path);
    segments.resize(i);
  }
  // The last segment before which everything is covered.
  size_t first = segments.size();
  for (size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].header.base_stamp <= after) first = i;
  }
  if (first == segments.size() && !segments.empty()) {
    const SegmentFile& oldest = segments.front();
    return Status::Error(
        oldest.path + ": the log begins behind stamp " + std::to_string(oldest.header.base_stamp) +
        ", but " +
        (after == 0 ? "there is no snapshot" : "the snapshot ends at " + std::to_string(after)) +
        ": a segment or a snapshot is missing; put it back, or see fluxkv-check");
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    if (i > first && segments[i].header.number != segments[i - 1].header.number + 1)
      return Status::Error(segments[i - 1].path + " and " + segments[i].path +
                           ": the segments between them are missing; put them back, or see "
                           "fluxkv-check");
    reader->end_.segments.push_back({segments[i].header.number, segments[i].path,
                                     segments[i].header.base_stamp, segments[i].header.capacity});
    reader->bytes_total_ += i < first ? 0 : segments[i].header.capacity - kSegmentHeaderBytes;
    if (i >= first) reader->segments_.push_back(segments[i]);
  }
  if (!reader->segments_.empty()) {
    reader->offset_ = reader->segments_[0].header.first_record;
    reader->valid_stamp_ = reader->segments_[0].header.base_stamp;
    reader->pieces_.push_back({0, {reader->segments_[0].header.number, reader->offset_}});
  }
  return reader;
}

uint64_t LogReader::StreamEnd(size_t segment) const {
  if (segment + 1 == segments_.size()) return segments_[segment].header.capacity;
  return std::min(segments_[segment + 1].header.previous_end, segments_[segment].header.capacity);
}

bool LogReader::EnterNextSegment() {
  if (segment_ + 1 >= segments_.size()) return false;
  ++segment_;
  file_.reset();
  offset_ = kSegmentHeaderBytes;
  pieces_.push_back(
      {stream_at_ + (buffer_.size() - buffer_at_), {segments_[segment_].header.number, offset_}});
  return true;
}

Result<bool> LogReader::ReadMore() {
  if (segments_.empty()) return false;
  while (offset_ >= StreamEnd(segment_)) {
    if (!EnterNextSegment()) return false;
  }
  if (file_ == nullptr) {
    auto file = files_.Open(segments_[segment_].path, OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    file_ = std::move(file.value());
  }
  buffer_.erase(0, buffer_at_);
  buffer_at_ = 0;
  const size_t wanted =
      static_cast<size_t>(std::min<uint64_t>(kReadBytes, StreamEnd(segment_) - offset_));
  const size_t before = buffer_.size();
  buffer_.resize(before + wanted);
  auto got = file_->ReadAt(offset_, buffer_.data() + before, wanted);
  if (!got.ok()) return std::move(got).status();
  // What a file that was cut short has no more is zeros: what the next one has does not follow.
  offset_ += wanted;
  return true;
}

Result<bool> LogReader::Ensure(size_t size) {
  while (buffer_.size() - buffer_at_ < size) {
    auto more = ReadMore();
    if (!more.ok() || !more.value()) return more;
  }
  return true;
}

LogPlace LogReader::PlaceOf(uint64_t stream_at) const {
  size_t i = pieces_.size() - 1;
  while (i > 0 && pieces_[i].stream_begin > stream_at) --i;
  return {pieces_[i].place.segment,
          pieces_[i].place.offset + (stream_at - pieces_[i].stream_begin)};
}

std::string LogReader::PathOfPlace(LogPlace place) const {
  for (const SegmentFile& s : segments_) {
    if (s.header.number == place.segment) return s.path;
  }
  return {};
}

// False when there is no valid record.
Result<bool> LogReader::TakeRecord(LogRecord* record) {
  auto there = Ensure(sizeof(engine::RecordHeader));
  if (!there.ok() || !there.value()) return there;
  engine::RecordHeader& header = record->header;
  std::memcpy(&header, buffer_.data() + buffer_at_, sizeof(header));
  if (header.body_bytes == 0 || header.body_bytes > bytes_total_ || header.stamp == 0 ||
      header.stamp >= engine::kStampPending)
    return false;
  const size_t size = sizeof(header) + static_cast<size_t>(header.body_bytes);
  there = Ensure(engine::RecordBytes(static_cast<size_t>(header.body_bytes)));
  if (!there.ok() || !there.value()) return there;
  const std::string_view bytes(buffer_.data() + buffer_at_, size);
  if (RecordChecksum(bytes, segments_[0].header.log_id) != header.checksum) return false;
  record->body = bytes.substr(sizeof(header));
  return true;
}

Result<bool> LogReader::Next(LogRecord* record) {
  if (segments_.empty()) {
    end_.last_stamp = last_stamp_;
    return false;
  }
  // Records that a snapshot covers may come first; from then on stamps rise (F1).
  for (Stamp before = segments_[0].header.base_stamp;;) {
    auto good = TakeRecord(record);
    if (!good.ok()) return good;
    const bool covered = good.value() && record->header.stamp <= last_stamp_;
    if (!good.value() || (covered && (read_any_ || record->header.stamp <= before))) {
      Status status = JudgeEnd();
      if (!status.ok()) return status;
      return false;
    }
    const size_t size = engine::RecordBytes(record->body.size());
    buffer_at_ += size;
    stream_at_ += size;
    before = valid_stamp_ = record->header.stamp;
    if (covered) continue;
    read_any_ = true;
    last_stamp_ = record->header.stamp;
    return true;
  }
}

Status LogReader::JudgeEnd() {
  const LogPlace place = PlaceOf(stream_at_);
  auto claim = FindClaim();
  if (!claim.ok()) return std::move(claim).status();
  stopped_at_ = {PathOfPlace(place), place.offset};
  claim_ = claim.value();
  if (claim.value())
    return Status::Error(PathOfPlace(place) + " at " + std::to_string(place.offset) +
                         ": the log is damaged: there is no valid record, but one at " +
                         PathOfPlace(*claim.value()) + " offset " +
                         std::to_string(claim.value()->offset) +
                         " was written after it was on disk" + std::string(kWayOn));
  // F2: who begins a segment before the end of the one before has all of that on disk.
  for (size_t i = 1; i < segments_.size(); ++i) {
    const SegmentHeader& header = segments_[i].header;
    if (header.number > place.segment && header.base_stamp > valid_stamp_ &&
        header.previous_end < segments_[i - 1].header.capacity)
      return Status::Error(PathOfPlace(place) + " at " + std::to_string(place.offset) +
                           ": the log is damaged: there is no valid record, but " +
                           segments_[i].path + " was begun when stamp " +
                           std::to_string(header.base_stamp) + " was on disk" +
                           std::string(kWayOn));
  }
  auto more = Ensure(1);
  if (!more.ok()) return std::move(more).status();
  // Behind a whole write there are zeros (LogWriter), whatever the file held before.
  const bool torn = more.value() && !AllZero(std::string_view(buffer_).substr(
                                        buffer_at_, sizeof(engine::RecordHeader)));
  Finish(place, torn);
  return {};
}

void LogReader::Finish(LogPlace place, bool torn) {
  if (torn) torn_ = TornEnd{PathOfPlace(place), place.offset};
  end_.place = place;
  end_.last_stamp = last_stamp_;
  while (!end_.segments.empty() && end_.segments.back().number > place.segment) {
    useless_.push_back(end_.segments.back().path);
    end_.segments.pop_back();
  }
  for (const SegmentFile& s : segments_) {
    if (s.header.number <= place.segment)
      end_.needs_snapshot = std::max(end_.needs_snapshot, s.header.needs_snapshot);
  }
}

// Tries every place behind this one: after damage nobody knows where records begin.
Result<std::optional<LogPlace>> LogReader::FindClaim() {
  const uint64_t log_id = segments_[0].header.log_id;
  const LogPlace from = PlaceOf(stream_at_);
  // A record that goes on in the next segment is looked for in both at once.
  std::string bytes;
  std::vector<Piece> pieces;
  for (const SegmentFile& s : segments_) {
    if (s.header.number < from.segment) continue;
    auto file = files_.Open(s.path, OpenMode::kRead);
    if (!file.ok()) return std::move(file).status();
    const uint64_t begin =
        s.header.number == from.segment ? from.offset : uint64_t{kSegmentHeaderBytes};
    const size_t index = static_cast<size_t>(&s - segments_.data());
    // In the last one everything that the file holds; in the others what belongs to the stream.
    const uint64_t end = StreamEnd(index);
    if (begin >= end) continue;
    pieces.push_back({bytes.size(), {s.header.number, begin}});
    const size_t before = bytes.size();
    bytes.resize(before + static_cast<size_t>(end - begin));
    auto got = file.value()->ReadAt(begin, bytes.data() + before, bytes.size() - before);
    if (!got.ok()) return std::move(got).status();
    // A file cut short leaves zeros: the places behind it stay what they are.
  }
  uint64_t hashed = 0;
  for (size_t at = kPlaceStep; at + sizeof(engine::RecordHeader) <= bytes.size();
       at += kPlaceStep) {
    engine::RecordHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof(header));
    if (header.synced_stamp <= valid_stamp_ || header.stamp <= header.synced_stamp ||
        header.stamp >= engine::kStampPending || header.body_bytes == 0 ||
        header.body_bytes > bytes.size() - at - sizeof(header))
      continue;
    const std::string_view record(bytes.data() + at,
                                  sizeof(header) + static_cast<size_t>(header.body_bytes));
    // Clients can write what looks like large records into values, but not their checksums: they
    // must not cost a start more than this.
    if (record.size() > kAlwaysHashedBytes && (hashed += record.size()) > kHashedBytesMax) continue;
    if (RecordChecksum(record, log_id) != header.checksum) continue;
    size_t i = pieces.size() - 1;
    while (pieces[i].stream_begin > at) --i;
    return std::optional<LogPlace>(
        LogPlace{pieces[i].place.segment, pieces[i].place.offset + (at - pieces[i].stream_begin)});
  }
  return std::optional<LogPlace>();
}

}  // namespace fluxkv::persist
