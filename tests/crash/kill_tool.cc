// Goal: a server that is killed keeps what it has promised: every answered write is there after the
// next start, of a transaction everything or nothing, nothing without what came before it, and
// nothing that a reader was told is taken back. Its data directory stays as small as configured.
// Method: one directory and many cycles. In each, a server with a small log drives a load of many
// connections (owner.h) until it is killed: at any moment, while it takes a snapshot, when segments
// have just been recycled, some times again while it loads, or by SIGTERM. After the next start
// every key is compared with what is known of it (key_history.h).
//   kill_tool --cycles 50 --seconds-per-cycle 2 --mode full --seed 7
// Exit code 1, with the server's output and a copy of the directory as the start found it, at the
// first cycle that is not as it must be.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tests/crash/data_directory.h"
#include "tests/crash/load.h"
#include "tests/crash/owner.h"
#include "tests/isolation/tool_arguments.h"
#include "tests/wire/client.h"
#include "tests/wire/server_process.h"

namespace fluxkv::crash {
namespace {

constexpr uint32_t kOwners = 20;
constexpr uint32_t kAlone = 3;  // of them, with two databases of their own each
constexpr uint32_t kSharedDatabases = 3;
constexpr size_t kThreads = 4;
constexpr uint64_t kDirectorySlack = 4 << 20;
// The log begins a segment of its own pool behind the first at the latest, the second covers it.
constexpr int kSnapshotsToShrink = 3;
constexpr int64_t kModeWithinMs = 60'000;

enum class Ending { kAnyMoment, kInSnapshot, kAfterRecycling, kWhileLoading, kTerm };
constexpr const char* kEndingNames[] = {"at any moment", "in a snapshot", "after recycling",
                                        "again while loading", "SIGTERM"};

struct Totals {
  uint64_t cycles = 0, confirmed = 0, seen = 0;
  uint64_t lost = 0, halves = 0, holes = 0, contradicted = 0, other = 0;
  uint64_t directory_bytes = 0, kills = 0, cycles_without_writes = 0;
  bool good() const { return lost + halves + holes + contradicted + other == 0; }
};

void SleepMs(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

class Run {
 public:
  Run(std::string mode, uint64_t seed, int64_t cycle_ms)
      : mode_(std::move(mode)), random_(seed), cycle_ms_(std::max<int64_t>(cycle_ms, 1)) {
    char pattern[] = "/tmp/fluxkv-crash-XXXXXX";
    if (mkdtemp(pattern) == nullptr) throw std::runtime_error("no temporary directory");
    directory_ = pattern;
    for (uint32_t i = 0; i < kOwners; ++i) {
      std::vector<uint32_t> databases{i % kSharedDatabases};
      if (i < kAlone) databases = {kSharedDatabases + 2 * i, kSharedDatabases + 2 * i + 1};
      owners_.push_back(std::make_unique<Owner>(i, databases, seed * 1000 + i));
    }
  }

  // False when the cycle is not as it must be; then it has been told.
  bool Cycle();
  // The last start, without a load behind it.
  bool Finish();
  void RemoveDirectory() { std::filesystem::remove_all(directory_); }
  const Totals& totals() const { return totals_; }

 private:
  std::string Data() const { return directory_ + "/data"; }
  std::string Before() const { return directory_ + "/before"; }
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low + 1)));
  }

  std::unique_ptr<wire::ServerProcess> NewServer(wire::ServerProcess::Wait wait);
  void Start();
  void KillWhileLoading();
  void Verify();
  std::vector<FoundValue> Fetch(wire::Client& client, const Owner& owner);
  static void RemoveFilling(wire::Client& client, const Owner& owner);
  void CompareSizes(wire::Client& client,
                    const std::map<uint32_t, std::pair<int64_t, int64_t>>& keys_of);
  void Drive(Ending ending);
  void Disturb(wire::Client& control, Ending ending);
  void End(Ending ending);
  void ChangeModes(wire::Client& control);
  void Reload(wire::Client& control);
  // Looks at the directory's size for so long, or until `until` is true.
  template <class Until>
  void Watch(int64_t ms, Until until);
  void CheckDirectory();
  void Problem(const std::string& text);
  bool Tell(Ending ending);

  const std::string mode_;
  std::mt19937_64 random_;
  const int64_t cycle_ms_;
  std::string directory_;
  Load::Owners owners_;
  std::unique_ptr<wire::ServerProcess> server_;
  std::string output_before_;       // of the server that was killed
  uint64_t pool_bytes_ = 0;         // of the log, as configured for the server that runs
  uint64_t pool_bytes_before_ = 0;  // the largest since the log was seen to fit its own
  std::string newest_snapshot_;
  int snapshots_taken_ = 0;  // seen of the server that runs
  uint64_t snapshot_bytes_largest_ = 0;
  Totals totals_;
  std::string problems_;
};

void Run::Problem(const std::string& text) {
  ++totals_.other;
  problems_ += text + "\n";
}

std::unique_ptr<wire::ServerProcess> Run::NewServer(wire::ServerProcess::Wait wait) {
  constexpr uint64_t kKilobytes[] = {64, 256, 1024, 1024};
  const uint64_t kilobytes = kKilobytes[Below(4)];
  const uint64_t segments = 2 + Below(8);
  pool_bytes_before_ = std::max(pool_bytes_before_, pool_bytes_);
  pool_bytes_ = kilobytes * 1024 * segments;
  newest_snapshot_ = SizeOf(Data()).newest_snapshot;
  snapshots_taken_ = 0;
  const std::vector<std::string> options{"--durability",
                                         mode_,
                                         "--dir",
                                         Data(),
                                         "--enable-debug-command",
                                         "yes",
                                         "--log.file",
                                         "",
                                         "--databases",
                                         std::to_string(kSharedDatabases + 2 * kAlone),
                                         "--durability.segment_bytes",
                                         std::to_string(kilobytes) + "kb",
                                         "--durability.segments",
                                         std::to_string(segments),
                                         "--durability.flush_interval_ms",
                                         Below(2) == 0 ? "10" : "1000",
                                         "--durability.snapshot_after_bytes",
                                         Below(2) == 0 ? "1mb" : "64mb"};
  return std::make_unique<wire::ServerProcess>(options, "", wait);
}

void Run::Start() {
  server_ = NewServer(wire::ServerProcess::Wait::kUntilReady);
}

void Run::KillWhileLoading() {
  const int64_t times = Between(1, 3);
  for (int64_t i = 0; i < times; ++i) {
    auto server = NewServer(wire::ServerProcess::Wait::kNo);
    SleepMs(Between(5, 150));
    server->Kill();
    ++totals_.kills;
  }
}

std::vector<FoundValue> Run::Fetch(wire::Client& client, const Owner& owner) {
  std::string requests;
  for (uint32_t key = 0; key < owner.keys(); ++key) {
    requests += wire::Encode({"SELECT", std::to_string(owner.DatabaseOf(key))});
    // In one transaction: a brief key may end between two commands.
    requests += wire::Encode({"MULTI"}) + wire::Encode({"GET", owner.NameOf(key)}) +
                wire::Encode({"PEXPIRETIME", owner.NameOf(key)}) + wire::Encode({"EXEC"});
  }
  const int64_t from_ms = RealtimeUs() / 1000;
  client.Send(requests);
  std::vector<FoundValue> found(owner.keys());
  for (FoundValue& f : found) {
    for (int i = 0; i < 4; ++i) client.ReadRaw();
    const std::string raw = client.ReadRaw();
    size_t at = 0;
    Reply reply;
    if (!isolation::ParseReply(raw, &at, &reply) || reply.items.size() != 2 ||
        reply.items[0].type != '$' || reply.items[1].type != ':')
      throw std::runtime_error("reading back: " + raw.substr(0, 200));
    if (!reply.items[0].is_nil) f.value = reply.items[0].text;
    f.deadline_ms = std::max<int64_t>(std::stoll(reply.items[1].text), 0);
    f.from_ms = from_ms;
  }
  for (FoundValue& f : found) f.until_ms = RealtimeUs() / 1000;
  return found;
}

// What a range delete that was cut short would have deleted besides the owner's keys.
void Run::RemoveFilling(wire::Client& client, const Owner& owner) {
  for (uint32_t db : owner.databases()) {
    client.Do({"SELECT", std::to_string(db)});
    for (uint32_t key = 0; key < Owner::kTexts; ++key)
      client.Do({"DELPREFIX", owner.NameOf(key) + Owner::kFilling});
  }
}

// Nothing else is there: each database has as many keys as were found, but for brief ones.
void Run::CompareSizes(wire::Client& client,
                       const std::map<uint32_t, std::pair<int64_t, int64_t>>& keys_of) {
  for (const auto& [db, keys] : keys_of) {
    client.Do({"SELECT", std::to_string(db)});
    const std::string size = client.Do({"DBSIZE"});
    const int64_t there = std::stoll(size.substr(size.find(' ') + 1));
    if (there < keys.first || there > keys.first + keys.second)
      Problem(fmt::format("database {} has {} keys, not {} and up to {} brief ones", db, there,
                          keys.first, keys.second));
  }
}

void Run::Verify() {
  wire::Client client(server_->port());
  std::map<uint32_t, std::vector<SeenState>> seen;
  for (const auto& owner : owners_) {
    for (const Owner::Seen& s : owner->seen()) seen[s.owner].push_back(s.state);
    totals_.seen += owner->seen().size();
  }
  std::map<uint32_t, std::pair<int64_t, int64_t>> keys_of;  // by database: lasting, brief
  uint64_t confirmed = 0;
  for (uint32_t i = 0; i < kOwners; ++i) {
    Owner& owner = *owners_[i];
    const std::vector<FoundValue> values = Fetch(client, owner);
    RemoveFilling(client, owner);
    std::vector<FoundKey> found;
    for (uint32_t key = 0; key < values.size(); ++key) {
      const FoundValue& v = values[key];
      found.push_back(
          {v.value ? ValueHash(*v.value) : kAbsent, v.deadline_ms, v.from_ms, v.until_ms});
      auto& [lasting, brief] = keys_of[owner.DatabaseOf(key)];
      brief += Owner::IsBrief(key);
      lasting += !Owner::IsBrief(key) && v.value.has_value();
    }
    confirmed += owner.history().confirmed();
    const Verdict verdict = owner.history().Check(found, seen[i]);
    totals_.lost += verdict.lost;
    totals_.halves += verdict.halves;
    totals_.holes += verdict.holes;
    totals_.contradicted += verdict.contradicted;
    if (!verdict.good()) problems_ += fmt::format("owner {}:\n{}", i, verdict.text);
    owner.Restart(values);
  }
  CompareSizes(client, keys_of);
  totals_.confirmed += confirmed;
  totals_.cycles_without_writes += confirmed == 0 && totals_.cycles > 0;
}

template <class Until>
void Run::Watch(int64_t ms, Until until) {
  const int64_t end_ns = MonotonicNs() + ms * 1'000'000;
  while (MonotonicNs() < end_ns && !until()) {
    const DirectorySize size = SizeOf(Data());
    snapshot_bytes_largest_ = std::max(snapshot_bytes_largest_, size.largest_snapshot);
    totals_.directory_bytes = std::max(totals_.directory_bytes, size.bytes);
    // A pool that was larger before shrinks when snapshots have been taken, for which a server that
    // is killed may have had no time.
    if (newest_snapshot_ < size.newest_snapshot) {
      newest_snapshot_ = size.newest_snapshot;
      ++snapshots_taken_;
    }
    if (size.log <= pool_bytes_ || snapshots_taken_ >= kSnapshotsToShrink)
      pool_bytes_before_ = pool_bytes_;
    const uint64_t bound =
        std::max(pool_bytes_, pool_bytes_before_) + 2 * snapshot_bytes_largest_ + kDirectorySlack;
    if (size.bytes > bound && totals_.other == 0)
      Problem(
          fmt::format("the data directory has {} bytes, more than {} (log) + 2 * {} "
                      "(snapshots) + {}:{}",
                      size.bytes, std::max(pool_bytes_, pool_bytes_before_),
                      snapshot_bytes_largest_, kDirectorySlack, size.files));
    SleepMs(std::min<int64_t>(5, std::max<int64_t>(ms, 1)));
  }
}

// To none and back, or between the others: when the last mode is in force, everything is promised
// again that was answered meanwhile.
void Run::ChangeModes(wire::Client& control) {
  const char* other = Below(2) == 0 ? "none" : mode_ == "full" ? "relaxed" : "full";
  for (const std::string& mode : {std::string(other), mode_}) {
    const std::string answer = control.Do({"CONFIG", "SET", "durability.mode", mode});
    if (answer != "OK") return Problem("durability.mode " + mode + ": " + answer);
    std::string info;
    for (int64_t i = 0; i < kModeWithinMs / 5; ++i) {
      info = control.Do({"INFO", "persistence"});
      if (info.find("\\ndurability:" + mode + "\\r") != std::string::npos &&
          info.find("aof_rewrite_in_progress:1") == std::string::npos)
        break;
      info.clear();
      SleepMs(5);
    }
    if (info.empty()) return Problem("durability.mode " + mode + " does not come into force");
    SleepMs(Between(0, 100));
  }
}

// The data goes through files and back under the load; that a snapshot is being taken is no error.
void Run::Reload(wire::Client& control) {
  const char* what = Below(2) == 0 ? "RELOAD" : "LOADAOF";
  const std::string answer = control.Do({"DEBUG", what});
  if (answer != "OK" && answer.find("a snapshot is being taken") == std::string::npos)
    Problem(std::string("DEBUG ") + what + ": " + answer);
}

void Run::Drive(Ending ending) {
  Load load(server_->port(), owners_, kThreads);
  try {
    wire::Client control(server_->port());
    Disturb(control, ending);
    End(ending);
  } catch (const std::runtime_error& error) {
    const bool alive = server_->Alive();
    Problem(fmt::format("{}; the server {}", error.what(), alive ? "is silent" : "has ended"));
    server_->Kill();  // or the load never ends
  }
  load.End();
  if (!load.problem().empty()) Problem(load.problem());
}

// What goes on beside the load, up to the moment of the end.
void Run::Disturb(wire::Client& control, Ending ending) {
  const auto never = [] { return false; };
  if (Below(2) == 0) {
    Watch(Between(0, cycle_ms_ / 2), never);
    control.Do({"BGSAVE"});  // that one is being taken already is no error here
    Watch(Between(0, cycle_ms_ / 2), never);
  } else {
    Watch(Between(cycle_ms_ / 10, cycle_ms_), never);
  }
  if (Below(4) == 0) ChangeModes(control);
  if (Below(4) == 0) Reload(control);
  if (ending == Ending::kInSnapshot) {
    control.Send(wire::Encode({"BGSAVE"}));
    Watch(Between(0, 40), never);
  } else if (ending == Ending::kAfterRecycling) {
    std::set<std::string> files;
    const auto snapshots = [&] {
      std::set<std::string> names;
      std::error_code error;
      for (std::filesystem::directory_iterator e(Data(), error), end; !error && e != end;
           e.increment(error)) {
        if (e->path().extension() == ".snap") names.insert(e->path().filename());
      }
      return names;
    };
    files = snapshots();
    control.Send(wire::Encode({"BGSAVE"}));
    Watch(cycle_ms_, [&] { return snapshots() != files; });
    if (Below(2) == 0) SleepMs(Between(0, 10));
  }
}

void Run::End(Ending ending) {
  if (ending == Ending::kTerm) {
    const int code = server_->Stop();
    if (code != 0) Problem(fmt::format("the server ended with {}", code));
  } else {
    if (!server_->Alive()) Problem(fmt::format("the server has ended with {}", server_->Stop()));
    server_->Kill();
    ++totals_.kills;
  }
}

// What was left must be a directory from which a start is possible, in the eyes of fluxkv-check.
void Run::CheckDirectory() {
  const char* server = std::getenv("FLUXKV_SERVER");
  const auto check = std::filesystem::path(server == nullptr ? "build/fluxkv" : server)
                         .replace_filename("fluxkv-check");
  if (!std::filesystem::exists(check)) return;
  FILE* pipe = popen((check.string() + " --no-lock " + Before() + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + check.string());
  std::string text;
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, count);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) Problem("fluxkv-check says:\n" + text);
}

bool Run::Tell(Ending ending) {
  if (totals_.good()) return true;
  std::printf("cycle %llu, killed %s, mode %s:\n%s\n",
              static_cast<unsigned long long>(totals_.cycles),
              kEndingNames[static_cast<int>(ending)], mode_.c_str(), problems_.c_str());
  std::printf("---- output of the server that ended:\n%s\n", output_before_.c_str());
  if (server_ != nullptr)
    std::printf("---- output of the server that was started then:\n%s\n",
                server_->Output().c_str());
  std::printf("---- %s is the directory as the start found it\n", Before().c_str());
  return false;
}

bool Run::Cycle() {
  if (server_ == nullptr) {
    Start();
    Verify();
  }
  ++totals_.cycles;
  const auto ending = static_cast<Ending>(Below(5));
  Drive(ending);
  output_before_ = server_->Output();
  server_.reset();
  CopyDirectory(Data(), Before());
  CheckDirectory();
  try {
    if (ending == Ending::kWhileLoading) KillWhileLoading();
    Start();
    Verify();
  } catch (const std::exception& error) {
    Problem(error.what());
  }
  return Tell(ending);
}

bool Run::Finish() {
  const int code = server_->Stop();
  if (code != 0) Problem(fmt::format("the server ended with {}", code));
  output_before_ = server_->Output();
  return Tell(Ending::kTerm);
}

int Main(int argc, char** argv) {
  const isolation::ToolArguments arguments(
      argc, argv,
      {{"cycles", "10"}, {"seconds-per-cycle", "2"}, {"mode", "relaxed"}, {"seed", "1"}});
  const std::string& mode = arguments.Text("mode");
  const int64_t cycles = arguments.Number("cycles");
  Run run(mode, static_cast<uint64_t>(arguments.Number("seed")),
          arguments.Number("seconds-per-cycle") * kMsPerSecond);
  bool good = true;
  for (int64_t i = 0; good && i < cycles; ++i) good = run.Cycle();
  if (good) good = run.Finish();
  if (good) run.RemoveDirectory();
  const Totals& t = run.totals();
  std::fputs(fmt::format(
                 "mode {}, seed {}: {} cycles, {} kills, {} acknowledged writes checked ({} cycles "
                 "without any), {} reads of others checked, {} lost, {} halves, {} holes, {} "
                 "contradicted reads, {} other problems, largest directory {:.1f} MB: {}\n",
                 mode, arguments.Text("seed"), t.cycles, t.kills, t.confirmed,
                 t.cycles_without_writes, t.seen, t.lost, t.halves, t.holes, t.contradicted,
                 t.other, static_cast<double>(t.directory_bytes) / 1e6, good ? "good" : "BAD")
                 .c_str(),
             stdout);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace fluxkv::crash

int main(int argc, char** argv) {
  try {
    return fluxkv::crash::Main(argc, argv);
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
