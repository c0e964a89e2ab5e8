// Goal: every commit's record reaches the log thread once and in order, no record comes behind a
// stamp that was called complete, and nobody who waits for a stamp is forgotten.
// Method: threads that commit, wait and take at once, without files.
#include "engine/commit_log.h"

#include <mutex>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

RecordHeader HeaderAt(const LogRecords& records, size_t i) {
  RecordHeader header;
  std::memcpy(&header, records.bytes.data() + records.begins[i], sizeof(header));
  return header;
}

// Takes until `stop`, and once more; returns the stamps found and counts what is wrong.
std::vector<Stamp> TakeAll(Database& database, const std::atomic<bool>& stop, uint64_t* wrong) {
  std::vector<Stamp> stamps;
  Stamp complete = 0;
  for (bool last = false; !last;) {
    last = stop.load();
    LogRecords records;
    const Stamp now = database.store().log.Take(database.store(), &records);
    size_t end = 0;
    for (size_t i = 0; i < records.begins.size(); ++i) {
      const RecordHeader header = HeaderAt(records, i);
      *wrong += header.stamp <= complete || header.stamp > now || records.begins[i] != end;
      *wrong += !stamps.empty() && header.stamp <= stamps.back();
      end += RecordBytes(header.body_bytes);
      stamps.push_back(header.stamp);
    }
    *wrong += end != records.bytes.size();
    // A commit that read the counter a while ago may hold back what was complete before it.
    complete = std::max(complete, now);
    std::this_thread::yield();
  }
  return stamps;
}

TEST_CASE(
    "commit log: many threads commit while records are taken; none is lost, none comes late") {
  constexpr size_t kThreads = 4;
  const int commits = 3000 / kSlower;
  Clock clock;
  Database database({}, clock);
  database.store().log.SetRecording(true);
  std::atomic<bool> stop{false};
  std::array<std::vector<Stamp>, kThreads> made;
  uint64_t wrong = 0;
  std::vector<Stamp> taken;
  std::thread taker([&] { taken = TakeAll(database, stop, &wrong); });
  RunThreads(kThreads, [&](size_t thread) {
    Session session(database);
    for (int i = 0; i < commits; ++i) {
      const std::string key =
          std::to_string(i % 3 == 0 ? 0 : thread * 1000 + static_cast<size_t>(i) % 50);
      if (i % 7 == 0) {
        session.txn().BeginExclusive();
        session.txn().SwapDatabases(0, 1);
        made[thread].push_back(session.Finish());
      } else {
        made[thread].push_back(session.Set(0, key, std::string(i % 500 == 0 ? 20000 : 20, 'x')));
      }
      if (i % 100 == 0) session.Get(0, key);
    }
  });
  stop.store(true);
  taker.join();
  CHECK(wrong == 0);
  std::vector<Stamp> all;
  for (const auto& stamps : made) all.insert(all.end(), stamps.begin(), stamps.end());
  std::sort(all.begin(), all.end());
  CHECK(taken == all);
}

TEST_CASE("commit log: what changes nothing, and deadlines, leave no record") {
  Clock clock;
  Database database({}, clock);
  database.store().log.SetRecording(true);
  Session session(database);
  session.Delete(0, "absent");
  session.Get(0, "absent");
  session.Set(0, "brief", "x", clock.Tick());
  session.LeaveEpoch();
  database.Vacuum();
  session.EnterEpoch();
  CHECK(database.stats().expired_keys == 1);
  LogRecords records;
  const Stamp complete = database.store().log.Take(database.store(), &records);
  CHECK(complete == database.store().stamp.load());
  CHECK(complete > 1);
  CHECK(records.begins.size() == 1);
  database.store().log.SetRecording(false);
  session.Set(0, "unrecorded", "x");
  static_cast<void>(database.store().log.Take(database.store(), &records));
  CHECK(records.begins.empty());
}

TEST_CASE("commit log: a large value goes by reference, and outlives its key") {
  Clock clock;
  Database database({}, clock);
  database.store().log.SetRecording(true);
  Session session(database);
  std::string large(5 << 20, 'L');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  session.Set(0, "before", "small");
  session.Set(3, "large", large, 7 + (int64_t{1} << 50));
  session.Set(0, "after", "small");
  session.Delete(3, "large");
  for (int i = 0; i < 10; ++i) {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
  }
  LogRecords records;
  static_cast<void>(database.store().log.Take(database.store(), &records));
  REQUIRE(records.begins.size() == 4);
  const RecordHeader header = HeaderAt(records, 1);
  ChangeReader reader(std::string_view(records.bytes)
                          .substr(records.begins[1] + sizeof(header), header.body_bytes));
  Change change;
  REQUIRE(reader.Next(&change));
  CHECK(change.db == 3);
  CHECK(change.key == "large");
  CHECK(change.expiry_ms == 7 + (int64_t{1} << 50));
  CHECK(change.value == large);
  CHECK(!reader.Next(&change));
  // A queue that is never taken gives its references back with its store.
  session.Set(3, "large", large);
}

// A thread that holds replies, as a loop does.
class Holder : public LogListener {
 public:
  void OnSafe() override {
    std::lock_guard lock(mutex_);
    told_ = true;
    wake_.notify_one();
  }
  // Whether it was told within ten seconds.
  bool Wait() {
    std::unique_lock lock(mutex_);
    const bool told = wake_.wait_for(lock, std::chrono::seconds(10), [this] { return told_; });
    told_ = false;
    return told;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool told_ = false;  // guarded by mutex_
};

TEST_CASE("commit log: whoever waits for a stamp is told, however calls meet") {
  constexpr size_t kThreads = 3;
  Clock clock;
  Database database({}, clock);
  CommitLog& log = database.store().log;
  std::atomic<Stamp> stamp{0};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> forgotten{0}, early{0};
  log.SetSafe(0);
  std::thread log_thread([&] {
    while (!stop.load()) {
      log.WaitForWork(std::chrono::milliseconds(50));
      log.SetSafe(stamp.load());
    }
  });
  std::array<Holder, kThreads> holders;
  RunThreads(kThreads, [&](size_t thread) {
    log.SetListener(thread, &holders[thread]);
    for (int i = 0; i < 20000 / kSlower; ++i) {
      const Stamp mine = stamp.fetch_add(1) + 1;
      log.Await(thread, mine);
      if (!holders[thread].Wait()) {
        ++forgotten;
        break;
      }
      if (!log.IsSafe(mine)) ++early;
    }
    log.SetListener(thread, nullptr);
  });
  stop.store(true);
  log.Wake();
  log_thread.join();
  CHECK(forgotten.load() == 0);
  CHECK(early.load() == 0);
}

TEST_CASE("commit log: a failure and a change of admission tell everybody who waits") {
  Clock clock;
  Database database({}, clock);
  CommitLog& log = database.store().log;
  log.SetSafe(0);
  Holder holder;
  log.SetListener(0, &holder);
  log.Await(0, 5);
  std::thread other([&] { log.SetFailure("no disk"); });
  CHECK(holder.Wait());
  other.join();
  CHECK(log.admission() == CommitLog::Admission::kFailed);
  CHECK(log.failure() == "no disk");
  log.Await(0, 5);  // it has failed already
  CHECK(holder.Wait());
  log.SetFailure("");
  CHECK(log.admission() == CommitLog::Admission::kOpen);
  log.Await(0, 5);
  log.SetAdmission(CommitLog::Admission::kFull);
  CHECK(holder.Wait());
  log.SetListener(0, nullptr);
}

// What a crash could bring back has to be found absent only by who waits for it (D4).
TEST_CASE("commit log: a deletion that is not safe yet is not forgotten by the collector") {
  Clock clock;
  Database database({}, clock);
  CommitLog& log = database.store().log;
  Session session(database);
  session.Set(0, "key", "value");
  log.SetSafe(database.store().stamp.load());
  log.SetRecording(true);
  const Stamp deleted = session.Delete(0, "key");
  const auto depends = [&] {
    session.LeaveEpoch();
    database.Vacuum();
    session.EnterEpoch();
    session.txn().ForgetDependencies();
    session.txn().BeginRead();
    CHECK(session.txn().Get(0, Key("key")) == nullptr);
    session.Finish();
    return session.txn().depends_on();
  };
  CHECK(depends() == deleted);
  CHECK(depends() == deleted);
  log.SetSafe(deleted);
  CHECK(depends() < deleted);
}

}  // namespace
}  // namespace fluxkv::engine
