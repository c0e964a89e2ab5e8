#include "engine/commit_log.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "engine/store.h"

namespace fluxkv::engine {

namespace {
// A queue that grew larger in a burst is given back when it is empty.
constexpr size_t kQueueBytesKept = 4 << 20;
}  // namespace

// ---- Queues

LogQueue::~LogQueue() {
  for (const LogBlob& b : blobs_) b.blob->Release();
}

RecordWriter::RecordWriter(LogQueue& queue, Stamp stamp, int64_t time_ms)
    : queue_(queue), begin_((queue.latch_.Lock(), queue.bytes_.size())) {
  const RecordHeader header{.stamp = stamp, .time_ms = time_ms};
  queue_.bytes_.append(reinterpret_cast<const char*>(&header), sizeof(header));
}

void RecordWriter::Put(uint32_t db, std::string_view key, const Version& version) {
  AppendPutHead(&queue_.bytes_, db, key, version);
  if (Blob* blob = version.blob(); blob != nullptr) {
    blob->AddReference();
    queue_.blobs_.push_back({queue_.bytes_.size(), blob});
    blob_bytes_ += blob->size();
  } else {
    queue_.bytes_.append(version.payload());
  }
}

size_t RecordWriter::Finish() {
  const size_t text = queue_.bytes_.size() - begin_;
  if (text == sizeof(RecordHeader)) {
    queue_.bytes_.resize(begin_);
  } else {
    const uint64_t body_bytes = text - sizeof(RecordHeader) + blob_bytes_;
    std::memcpy(&queue_.bytes_[begin_ + offsetof(RecordHeader, body_bytes)], &body_bytes,
                sizeof(body_bytes));
    queue_.bytes_.append(RecordBytes(body_bytes) - (text + blob_bytes_), '\0');
    queue_.bytes_queued_.store(queue_.bytes_queued() + RecordBytes(body_bytes),
                               std::memory_order_relaxed);
  }
  const size_t queued = queue_.bytes_queued();
  queue_.latch_.Unlock();
  return queued;
}

// ---- Taking

// Walks the records of one thread.
struct CommitLog::Cursor {
  explicit Cursor(Rest* of) : rest(of) {}

  bool done() const { return at == rest->bytes.size(); }
  RecordHeader header() const {
    RecordHeader h;
    std::memcpy(&h, rest->bytes.data() + at, sizeof(h));
    return h;
  }
  // Appends the record to `out`, and steps behind it.
  void Copy(std::string* out) {
    size_t left = RecordBytes(header().body_bytes);
    while (left > 0) {
      const bool has_blob = blob < rest->blobs.size();
      const size_t text =
          std::min(left, (has_blob ? rest->blobs[blob].at : rest->bytes.size()) - at);
      out->append(rest->bytes, at, text);
      at += text;
      left -= text;
      if (left == 0) return;
      ASSERT(has_blob);
      Blob* bytes = rest->blobs[blob++].blob;
      ASSERT(bytes->size() <= left);
      out->append(bytes->bytes(), bytes->size());
      left -= bytes->size();
      bytes->Release();
    }
  }
  // Hands over everything as it is, if nothing is behind `complete` and nothing is by reference;
  // else nothing. The buffer that `records` had is used for what comes.
  bool TakeWhole(Stamp complete, LogRecords* records) {
    if (!rest->blobs.empty()) return false;
    for (at = 0; !done(); at += RecordBytes(header().body_bytes)) {
      if (header().stamp > complete) break;
      records->begins.push_back(at);
      records->last = header().stamp;
    }
    if (done()) {
      records->bytes.swap(rest->bytes);
      rest->bytes.clear();
      return true;
    }
    records->begins.clear();
    records->last = 0;
    at = 0;
    return false;
  }
  // Forgets what was copied.
  void Drop() const {
    rest->bytes.erase(0, at);
    rest->blobs.erase(rest->blobs.begin(), rest->blobs.begin() + static_cast<ptrdiff_t>(blob));
    for (LogBlob& b : rest->blobs) b.at -= at;
  }

  Rest* rest;
  size_t at = 0;
  size_t blob = 0;
  Stamp next = 0;  // stamp of the record at `at`
};

Stamp CommitLog::Take(const Store& store, LogRecords* records) {
  records->bytes.clear();
  records->begins.clear();
  records->last = 0;
  // D1. The counter first, then the slots: a commit with a stamp at or below it has published its
  // floor before it took that stamp.
  Stamp complete = store.stamp.load(std::memory_order_seq_cst);
  store.VisitShared([&](const HandleShared& shared) {
    const Stamp floor = shared.commit_floor.load(std::memory_order_seq_cst);
    if (floor != HandleShared::kNotCommitting && floor <= complete) complete = floor - 1;
  });
  std::vector<Cursor> cursors;
  size_t number = 0;
  store.VisitShared([&](const HandleShared& seen) {
    LogQueue& queue = const_cast<HandleShared&>(seen).log;
    Rest& rest = rests_[number++];
    if (queue.bytes_queued() != 0) {
      queue.latch_.Lock();
      if (rest.bytes.empty()) {
        rest.bytes.swap(queue.bytes_);
        rest.blobs.swap(queue.blobs_);
      } else {
        for (LogBlob& b : queue.blobs_) rest.blobs.push_back({b.at + rest.bytes.size(), b.blob});
        rest.bytes += queue.bytes_;
        queue.bytes_.clear();
        queue.blobs_.clear();
      }
      queue.bytes_queued_.store(0, std::memory_order_relaxed);
      queue.latch_.Unlock();
    }
    if (!rest.bytes.empty()) cursors.emplace_back(&rest);
  });
  if (cursors.size() == 1 && cursors[0].TakeWhole(complete, records)) return complete;
  for (Cursor& c : cursors) c.next = c.header().stamp;
  const auto earlier = [](const Cursor& a, const Cursor& b) { return a.next < b.next; };
  for (;;) {
    auto first = std::min_element(cursors.begin(), cursors.end(), earlier);
    if (first == cursors.end() || first->next > complete) break;
    DEBUG_ASSERT(first->next > records->last);  // D2
    records->begins.push_back(records->bytes.size());
    records->last = first->next;
    first->Copy(&records->bytes);
    first->next = first->done() ? kNobody : first->header().stamp;
  }
  for (const Cursor& c : cursors) {
    c.Drop();
    if (c.rest->bytes.empty() && c.rest->bytes.capacity() > kQueueBytesKept)
      std::string().swap(c.rest->bytes);
  }
  return complete;
}

size_t CommitLog::BytesQueued(const Store& store) {
  size_t bytes = 0;
  store.VisitShared([&](const HandleShared& shared) { bytes += shared.log.bytes_queued(); });
  return bytes;
}

// ---- Waiting

void CommitLog::Waiter::Tell() {
  std::lock_guard lock(mutex);
  if (listener != nullptr) listener->OnSafe();
}

void CommitLog::SetListener(size_t slot, LogListener* listener) {
  Waiter& waiter = waiters_[slot];
  waiter.wanted.store(kNobody, std::memory_order_seq_cst);
  {
    std::lock_guard lock(waiter.mutex);
    waiter.listener = listener;
  }
  size_t used = waiters_used_.load();
  while (used < slot + 1 && !waiters_used_.compare_exchange_weak(used, slot + 1)) {
  }
}

// False when the listener has been told already.
bool CommitLog::Register(size_t slot, Stamp stamp) {
  Waiter& waiter = waiters_[slot];
  waiter.wanted.store(stamp, std::memory_order_seq_cst);
  // D5
  if (stamp > safe() && admission() != Admission::kFailed) return true;
  if (waiter.wanted.exchange(kNobody) != kNobody) waiter.Tell();
  return false;
}

void CommitLog::Await(size_t slot, Stamp stamp) {
  if (Register(slot, stamp)) Wake();
}

void CommitLog::AwaitUnheard(size_t slot, Stamp stamp) {
  Register(slot, stamp);
}

bool CommitLog::OthersAwait(size_t slot) const {
  const size_t used = waiters_used_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < used; ++i) {
    if (i != slot && waiters_[i].wanted.load(std::memory_order_relaxed) < kAdmission) return true;
  }
  return false;
}

void CommitLog::TellWaiters(Stamp safe) {
  const size_t used = waiters_used_.load(std::memory_order_seq_cst);
  for (size_t i = 0; i < used; ++i) {
    Waiter& waiter = waiters_[i];
    Stamp wanted = waiter.wanted.load(std::memory_order_seq_cst);
    if (wanted == kNobody || wanted > safe) continue;
    if (!waiter.wanted.compare_exchange_strong(wanted, kNobody)) continue;  // it asks anew
    waiter.Tell();
  }
}

void CommitLog::TellAll() {
  TellWaiters(kAdmission);
}

void CommitLog::SetSafe(Stamp stamp) {
  safe_.store(stamp, std::memory_order_seq_cst);
  TellWaiters(stamp);
}

void CommitLog::SetAdmission(Admission admission) {
  admission_.store(admission, std::memory_order_seq_cst);
  TellAll();
}

void CommitLog::SetFailure(std::string reason) {
  const bool failed = !reason.empty();
  {
    std::lock_guard lock(failure_mutex_);
    failure_ = std::move(reason);
  }
  SetAdmission(failed ? Admission::kFailed : Admission::kOpen);
}

void CommitLog::SetRefused(std::string reason) {
  {
    std::lock_guard lock(failure_mutex_);
    failure_ = std::move(reason);
  }
  SetAdmission(Admission::kRefused);
}

std::string CommitLog::failure() const {
  std::lock_guard lock(failure_mutex_);
  return failure_;
}

void CommitLog::Wake() {
  if (wake_wanted_.exchange(true, std::memory_order_seq_cst)) return;
  if (!asleep_.load(std::memory_order_seq_cst)) return;
  std::lock_guard lock(wake_mutex_);
  wake_.notify_one();
}

void CommitLog::WaitForWork(std::chrono::microseconds timeout) {
  std::unique_lock lock(wake_mutex_);
  asleep_.store(true, std::memory_order_seq_cst);
  wake_.wait_for(lock, timeout, [this] { return wake_wanted_.load(std::memory_order_seq_cst); });
  asleep_.store(false, std::memory_order_seq_cst);
  // An exchange: what was queued before a Wake that found it set already is seen from here on.
  wake_wanted_.exchange(false, std::memory_order_seq_cst);
}

}  // namespace fluxkv::engine
