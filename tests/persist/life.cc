#include "tests/persist/life.h"

#include <algorithm>
#include <set>

namespace fluxkv::persist {

engine::VersionPtr StringValue(const std::string& text, int64_t expiry_ms) {
  engine::VersionPtr v =
      engine::Version::New(types::kTypeString, static_cast<uint8_t>(types::StringEncoding::kRaw),
                           expiry_ms, text.size());
  std::memcpy(v->mutable_payload(), text.data(), text.size());
  return v;
}

namespace {

std::string TextOf(const Status& status) {
  return status.ok() ? std::string() : status.message();
}

}  // namespace

TestContents History::At(Stamp stamp, int64_t now_ms) const {
  TestContents contents;
  for (const auto& [of, change] : changes_) {
    if (of <= stamp) change(contents);
  }
  for (TestKeys& keys : contents)
    std::erase_if(keys, [&](const auto& key) {
      return key.second.expiry_ms != engine::kNoExpiry && key.second.expiry_ms <= now_ms;
    });
  return contents;
}

Stamp History::NewestUpTo(Stamp stamp) const {
  Stamp newest = 0;
  for (const auto& [of, change] : changes_) newest = of <= stamp ? std::max(newest, of) : newest;
  return newest;
}

void History::Forget(Stamp above) {
  std::erase_if(changes_, [&](const auto& change) { return change.first > above; });
}

TestContents ReadContents(engine::Database& database, engine::Handle& handle, std::string* error) {
  TestContents contents;
  const bool enter = !handle.inside();
  if (enter) handle.Enter();
  {
    engine::Transaction txn(handle);
    if (!txn.BeginSnapshot(engine::Isolation::kSnapshot, true)) *error = "no snapshot";
    for (uint32_t db = 0; error->empty() && db < database.databases(); ++db) {
      TestKeys& keys = contents[db];
      std::string before;
      txn.Walk(db, "", false, "", [&](std::string_view key, const engine::Version& version) {
        if (!keys.empty() && key <= before) *error = "the list is not in order";
        before = key;
        keys[before] = {std::string(version.payload()), version.expiry_ms()};
        return true;
      });
      std::set<std::string> scanned;
      uint64_t cursor = 0;
      do {
        std::vector<engine::ScanEntry> page;
        txn.ScanPage(db, cursor, 10, "", &page, &cursor);
        for (const engine::ScanEntry& e : page) {
          auto it = keys.find(std::string(e.key));
          if (it == keys.end() || it->second.text != e.version->payload())
            *error = "SCAN finds something else";
          if (!scanned.emplace(e.key).second) *error = "SCAN finds a key twice";
        }
      } while (cursor != 0);
      if (scanned.size() != keys.size()) *error = "SCAN finds fewer";
      for (const auto& [key, value] : keys) {
        const engine::Version* version = txn.Get(db, engine::Key(key));
        if (version == nullptr || version->payload() != value.text) *error = "GET finds another";
      }
    }
    txn.Rollback();
  }
  if (enter) handle.Leave();
  return contents;
}

Loaded Load(FileSystem& files) {
  Loaded loaded;
  Clock clock;
  engine::Database database(
      {.databases = kTestDatabases, .vacuum_interval_ms = nullptr, .on_expired = {}}, clock);
  types::TypeLoader values;
  std::unique_ptr<engine::Handle> handle = database.Attach();
  engine::Handle::Scope in_epoch(*handle);
  engine::Loader loader(database, *handle, values);
  RecoveryProgress progress;
  auto recovered = Recover(files, "data", loader, &progress);
  if (!recovered.ok()) {
    loaded.error = recovered.message();
    return loaded;
  }
  loaded.recovered = std::move(recovered.value());
  database.store().stamp.store(loaded.recovered.stamp + 1);
  loader.Install(clock.Tick());
  loaded.contents = ReadContents(database, *handle, &loaded.error);
  return loaded;
}

Life::Life(LossyFileSystem& on, LifeOptions chosen)
    : files(on),
      database({.databases = kTestDatabases, .vacuum_interval_ms = nullptr, .on_expired = {}},
               clock),
      interval_ms(chosen.interval_ms),
      snapshot_after_bytes(chosen.snapshot_after_bytes) {
  auto opened = Logger::Open("");
  if (!opened.ok()) std::abort();
  logger = std::move(opened.value());
  logger->set_level(Logger::Level::kNothing);
  options.directory = "data";
  options.mode = chosen.mode;
  options.segment_bytes = chosen.segment_bytes;
  options.segments = chosen.segments;
  options.flush = {&interval_ms, &commits, &bytes};
  options.snapshot_after_bytes = &snapshot_after_bytes;
  options.snapshot_interval_s = &snapshot_interval_s;
}

Life::~Life() {
  session.reset();
  persistence.reset();
}

std::string Life::Start() {
  options.save_points = [this] { return save_points; };
  auto opened = Persistence::Open(files, options, database, values, clock, *logger);
  if (!opened.ok()) return opened.message();
  persistence = std::move(opened.value());
  Status status = persistence->Load();
  if (status.ok()) status = persistence->Start();
  if (status.ok()) session = std::make_unique<engine::Session>(database);
  return TextOf(status);
}

std::string Life::Stop(bool save) {
  session.reset();
  return TextOf(persistence->Stop(save));
}

Stamp Life::Set(uint32_t db, const std::string& key, const std::string& text, int64_t expiry_ms) {
  const engine::Key k(key);
  session->Latch(db, k);
  session->txn().Put(db, k, StringValue(text, expiry_ms));
  const Stamp stamp = session->Finish();
  history.Add(stamp, [=](TestContents& c) { c[db][key] = {text, expiry_ms}; });
  return stamp;
}

Stamp Life::Delete(uint32_t db, const std::string& key) {
  const engine::Key k(key);
  session->Latch(db, k);
  const bool was_there = session->txn().Delete(db, k);
  const Stamp stamp = session->Finish();
  if (was_there) history.Add(stamp, [=](TestContents& c) { c[db].erase(key); });
  return stamp;
}

Stamp Life::SetMany(const std::vector<std::pair<uint32_t, std::string>>& keys,
                    const std::string& text) {
  session->txn().BeginExclusive();
  for (const auto& [db, key] : keys)
    session->txn().Put(db, engine::Key(key), StringValue(text, engine::kNoExpiry));
  const Stamp stamp = session->Finish();
  history.Add(stamp, [=](TestContents& c) {
    for (const auto& [db, key] : keys) c[db][key] = {text, engine::kNoExpiry};
  });
  return stamp;
}

Stamp Life::DeleteRange(uint32_t db, const engine::KeyInterval& interval) {
  session->txn().BeginExclusive();
  const auto deleted = session->txn().DeleteRange(
      db, interval, [](std::string_view) {}, /*few=*/0);
  const Stamp stamp = session->Finish();
  if (deleted != nullptr)
    history.Add(stamp, [=](TestContents& c) {
      std::erase_if(c[db], [&](const auto& key) { return interval.Holds(key.first); });
    });
  return stamp;
}

Stamp Life::Clear(uint32_t db) {
  session->txn().BeginExclusive();
  const bool any = session->txn().CountKeys(db) != 0;
  session->txn().ClearDatabase(db);
  const Stamp stamp = session->Finish();
  // Else nothing is changed, and the stamp is somebody else's: perhaps a deadline's.
  if (any) history.Add(stamp, [=](TestContents& c) { c[db].clear(); });
  return stamp;
}

Stamp Life::Swap(uint32_t a, uint32_t b) {
  session->txn().BeginExclusive();
  session->txn().SwapDatabases(a, b);
  const Stamp stamp = session->Finish();
  history.Add(stamp, [=](TestContents& c) { std::swap(c[a], c[b]); });
  return stamp;
}

Stamp Life::ClearAndSwap(uint32_t a, uint32_t b, const std::string& key, const std::string& text) {
  const std::string third = key + "3";
  session->txn().BeginExclusive();
  session->txn().Put(b, engine::Key(key), StringValue(text + "1", engine::kNoExpiry));
  session->txn().ClearDatabase(a);
  session->txn().Put(a, engine::Key(key), StringValue(text + "2", engine::kNoExpiry));
  session->txn().SwapDatabases(a, b);
  session->txn().Put(b, engine::Key(third), StringValue(text, engine::kNoExpiry));
  const Stamp stamp = session->Finish();
  history.Add(stamp, [=](TestContents& c) {
    c[b][key] = {text + "1", engine::kNoExpiry};
    c[a].clear();
    c[a][key] = {text + "2", engine::kNoExpiry};
    std::swap(c[a], c[b]);
    c[b][key + "3"] = {text, engine::kNoExpiry};
  });
  return stamp;
}

Stamp Life::Random(std::mt19937_64& random) {
  const auto db = static_cast<uint32_t>(random() % 3);
  const auto other = static_cast<uint32_t>((db + 1 + random() % 3) % kTestDatabases);
  const std::string key = "key" + std::to_string(random() % 20);
  const std::string text(
      random() % 40 == 0 ? engine::kBlobBytesMin + random() % 4000 : random() % 300,
      static_cast<char>('a' + random() % 26));
  switch (random() % 17) {
    case 16: {
      database.LimitSettling(random() % 2 == 0 ? std::nullopt : std::optional(random() % 20));
      engine::KeyInterval interval{"key" + std::to_string(random() % 9), std::nullopt};
      if (random() % 2 == 0) interval.high = interval.low + "z";
      return DeleteRange(db, interval);
    }
    case 0:
      return Clear(db);
    case 1:
      return Swap(db, other);
    case 2:
      return ClearAndSwap(db, other, key, text);
    case 3:
      return SetMany({{db, key}, {other, key}, {db, key + "'"}}, text);
    case 4:
      return Delete(db, key);
    case 5:
      return Delete(db, key);
    case 6:
      return Set(db, key, text, clock.now_ms());  // gone at once
    case 7:
      return Set(db, key, text, kFarFuture);
    default:
      return Set(db, key, text);
  }
}

bool Life::WaitFor(const std::function<bool()>& condition) {
  // A thread that waits holds no epoch.
  const bool inside = session != nullptr && session->handle().inside();
  if (inside) session->LeaveEpoch();
  const int64_t until_us = MonotonicUs() + 10'000'000;
  bool met = condition();
  for (; !met && MonotonicUs() < until_us; met = condition())
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  if (inside) session->EnterEpoch();
  return met;
}

std::string Life::Switch(Mode mode) {
  session->LeaveEpoch();  // it waits for a snapshot
  Status status = persistence->SetMode(mode);
  session->EnterEpoch();
  return status.ok() ? std::string() : status.message();
}

std::string Life::Snapshot() {
  auto ticket = persistence->RequestSnapshot(/*again=*/true);
  if (!ticket.ok()) return ticket.message();
  Status result;
  if (!WaitFor([&] { return persistence->SnapshotEnded(*ticket.value(), &result); }))
    return "it does not end";
  return TextOf(result);
}

TestContents Life::Contents() {
  std::string error;
  TestContents contents = ReadContents(database, session->handle(), &error);
  if (!error.empty()) contents[0]["error"] = {error, 0};
  return contents;
}

}  // namespace fluxkv::persist
