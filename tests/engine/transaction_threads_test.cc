// Goal: transactions on many threads lose no update, see no half of another one, and read the same
// thing twice within a snapshot.
// Method: counters, transfers between accounts whose sum must stay, and snapshots that read every
// key twice while writers overwrite; values carry a checksum of their own.
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

constexpr size_t kThreads = 4;

std::string Account(uint64_t n) {
  return "account:" + std::to_string(n);
}

int64_t Number(const Version* version) {
  return version == nullptr ? 0 : std::stoll(std::string(version->payload()));
}

// A value that shows when it was overwritten: key, number and a filling that depends on both.
std::string Sealed(uint64_t key, uint64_t number) {
  std::string text = std::to_string(key) + ":" + std::to_string(number) + ":";
  text.resize(40 + number % 60, static_cast<char>('a' + (key + number) % 26));
  return text;
}
bool SealHolds(std::string_view text, uint64_t key) {
  const size_t first = text.find(':');
  const size_t second = text.find(':', first + 1);
  if (first == text.npos || second == text.npos) return false;
  if (text.substr(0, first) != std::to_string(key)) return false;
  return text == Sealed(key, std::stoull(std::string(text.substr(first + 1, second - first - 1))));
}

TEST_CASE("threads: counters lose no increment") {
  Clock clock;
  Database database({}, clock);
  const uint64_t rounds = 40000 / kSlower;
  constexpr uint64_t kCounters = 4;
  RunThreads(kThreads, [&](size_t thread) {
    Session session(database);
    std::mt19937_64 random(thread);
    for (uint64_t i = 0; i < rounds; ++i) {
      const std::string name = Account(random() % kCounters);
      const Key key(name);
      session.Latch(0, key);
      const int64_t n = Number(session.txn().Get(0, key));
      session.txn().Put(0, key, NewValue(std::to_string(n + 1)));
      session.Finish();
    }
  });
  Session session(database);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < kCounters; ++i) sum += std::stoull(session.Get(0, Account(i)));
  CHECK(sum == kThreads * rounds);
}

TEST_CASE("threads: counters by snapshot transactions that try again lose no increment") {
  Clock clock;
  Database database({}, clock);
  const uint64_t rounds = 6000 / kSlower;
  RunThreads(kThreads, [&](size_t thread) {
    Session session(database);
    const Isolation isolation = thread % 2 == 0 ? Isolation::kSnapshot : Isolation::kSerializable;
    const Key key("counter");
    for (uint64_t i = 0; i < rounds;) {
      if (thread == 3) {  // latched increments between the others
        session.Latch(0, key);
      } else if (!session.txn().BeginSnapshot(isolation, false)) {
        continue;
      }
      const int64_t n = Number(session.txn().Get(0, key));
      session.txn().Put(0, key, NewValue(std::to_string(n + 1)));
      i += session.txn().Commit() ? 1 : 0;
      session.Breathe();
    }
  });
  Session session(database);
  CHECK(session.Get(0, "counter") == std::to_string(kThreads * rounds));
}

constexpr uint64_t kAccounts = 24;
constexpr int64_t kSum = 1000 * kAccounts;

// Moves an amount between two accounts; a poor one is deleted, a missing one counts as 0.
void Transfer(Session& session, std::mt19937_64& random) {
  const uint64_t a = random() % kAccounts, b = (a + 1 + random() % (kAccounts - 1)) % kAccounts;
  const std::string from_name = Account(a), to_name = Account(b);
  const Key from(from_name), to(to_name);
  const std::array<LatchKey, 2> latches = {{{0, from.hash}, {0, to.hash}}};
  Transaction& txn = session.txn();
  txn.BeginLatched(latches);
  const int64_t has = Number(txn.Get(0, from));
  const int64_t amount = random() % 4 == 0 ? has : static_cast<int64_t>(random() % 100);
  if (has == amount)
    txn.Delete(0, from);
  else
    txn.Put(0, from, NewValue(std::to_string(has - amount)));
  txn.Put(0, to, NewValue(std::to_string(Number(txn.Get(0, to)) + amount)));
  session.Finish();
}

int64_t SumOf(Transaction& txn) {
  // A transaction that only reads looks at its keys again in Validate: their bytes stay.
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (uint64_t i = 0; i < kAccounts; ++i) names.push_back(Account(i));
    return names;
  }();
  int64_t sum = 0;
  for (const std::string& name : kNames) sum += Number(txn.Get(0, Key(name)));
  return sum;
}

int64_t SumByWalk(Transaction& txn) {
  int64_t sum = 0;
  txn.Walk(0, "", false, "account:", [&](std::string_view, const Version& version) {
    sum += Number(&version);
    return true;
  });
  return sum;
}

TEST_CASE("threads: the sum of accounts stays for every kind of reader") {
  FLUXKV_SEEDED(seed);
  Clock clock;
  Database database({}, clock);
  {
    Session session(database);
    for (uint64_t i = 0; i < kAccounts; ++i) session.Set(0, Account(i), "1000");
  }
  std::atomic<size_t> writers{2};
  std::atomic<uint64_t> wrong_read{0}, wrong_snapshot{0}, wrong_exclusive{0}, wrong_transfer{0};
  std::atomic<uint64_t> validated{0}, snapshots{0};
  const int rounds = 40000 / kSlower;
  RunThreads(6, [&](size_t thread) {
    Session session(database);
    std::mt19937_64 random(seed + thread);
    Transaction& txn = session.txn();
    if (thread < 2) {
      for (int i = 0; i < rounds; ++i) Transfer(session, random);
      --writers;
      return;
    }
    while (writers > 0) {
      if (thread == 2) {
        txn.BeginRead();
        const int64_t sum = SumOf(txn);
        if (txn.Validate()) {
          ++validated;
          wrong_read += sum == kSum ? 0 : 1;
        }
        session.Finish();
      } else if (thread == 3) {
        if (!txn.BeginSnapshot(Isolation::kSnapshot, true)) std::abort();
        ++snapshots;
        wrong_snapshot += SumOf(txn) == kSum && SumByWalk(txn) == kSum ? 0 : 1;
        session.Finish();
      } else if (thread == 4) {
        txn.BeginExclusive();
        wrong_exclusive += SumOf(txn) == kSum && SumByWalk(txn) == kSum ? 0 : 1;
        session.Finish();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      } else {  // transfers by serializable transactions, with the collector at work
        if (!txn.BeginSnapshot(Isolation::kSerializable, false)) std::abort();
        wrong_transfer += SumByWalk(txn) == kSum ? 0 : 1;
        const std::string from = Account(random() % kAccounts), to = Account(random() % kAccounts);
        if (from != to) {
          const int64_t has = Number(txn.Get(0, Key(from)));
          txn.Put(0, Key(from), NewValue(std::to_string(has - 5)));
          txn.Put(0, Key(to), NewValue(std::to_string(Number(txn.Get(0, Key(to))) + 5)));
        }
        static_cast<void>(txn.Commit());
        session.Breathe();
      }
    }
  });
  CHECK(wrong_read == 0);
  CHECK(wrong_snapshot == 0);
  CHECK(wrong_exclusive == 0);
  CHECK(wrong_transfer == 0);
  CHECK(snapshots > 0);
  Session session(database);
  session.txn().BeginExclusive();
  CHECK(SumOf(session.txn()) == kSum);
  session.Finish();
}

TEST_CASE("threads: a read that validates is of one moment") {
  // Few keys and short reads, so that most of them validate and many would be torn without.
  Clock clock;
  Database database({}, clock);
  std::atomic<size_t> writers{2};
  std::atomic<uint64_t> torn{0}, validated{0};
  const int rounds = 100000 / kSlower;
  RunThreads(4, [&](size_t thread) {
    Session session(database);
    Transaction& txn = session.txn();
    const Key a("a"), b("b");
    if (thread < 2) {
      const std::array<LatchKey, 2> latches = {{{0, a.hash}, {0, b.hash}}};
      for (int i = 0; i < rounds; ++i) {
        txn.BeginLatched(latches);
        if (i % 16 == 0) {
          txn.Delete(0, a);
          txn.Delete(0, b);
        } else {
          const std::string n = std::to_string(thread) + std::to_string(i);
          txn.Put(0, a, NewValue(n));
          txn.Put(0, b, NewValue(n));
        }
        session.Finish();
      }
      --writers;
      return;
    }
    while (writers > 0) {
      txn.BeginRead();
      const std::string first = Text(txn.Get(0, a));
      const std::string second = Text(txn.Get(0, b));
      if (txn.Validate()) {
        ++validated;
        torn += first == second ? 0 : 1;
      }
      session.Finish();
    }
  });
  CHECK(validated > 0);
  CHECK(torn == 0);
}

TEST_CASE("threads: a snapshot reads the same thing twice while writers overwrite") {
  FLUXKV_SEEDED(seed);
  constexpr uint64_t kKeys = 64;
  Clock clock;
  Database database({}, clock);
  std::atomic<size_t> writers{2};
  std::atomic<uint64_t> changed{0}, broken{0}, future{0}, snapshots{0};
  const uint64_t rounds = 60000 / kSlower;
  RunThreads(4, [&](size_t thread) {
    Session session(database);
    std::mt19937_64 random(seed + thread);
    Transaction& txn = session.txn();
    if (thread < 2) {
      for (uint64_t i = 0; i < rounds; ++i) {
        const uint64_t key = random() % kKeys;
        if (random() % 8 == 0)
          session.Delete(0, Account(key));
        else
          session.Set(0, Account(key), Sealed(key, i));
      }
      --writers;
      return;
    }
    std::vector<std::string> first(kKeys);
    while (writers > 0) {
      if (!txn.BeginSnapshot(Isolation::kSnapshot, true)) std::abort();
      ++snapshots;
      for (uint64_t pass = 0; pass < 3; ++pass) {
        for (uint64_t key = 0; key < kKeys; ++key) {
          const std::string name = Account(key);
          const Version* version = txn.Get(0, Key(name));
          if (version != nullptr) {
            broken += SealHolds(version->payload(), key) ? 0 : 1;
            future += version->stamp() <= txn.snapshot() ? 0 : 1;
          }
          const std::string text = Text(version);
          if (pass == 0)
            first[key] = text;
          else
            changed += first[key] == text ? 0 : 1;
        }
        session.Reenter();  // a snapshot lives across epochs
        if (pass == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (!txn.Commit()) std::abort();
    }
  });
  CHECK(snapshots > 0);
  CHECK(changed == 0);
  CHECK(broken == 0);
  CHECK(future == 0);
}

TEST_CASE("threads: what was acknowledged before a snapshot began is in it") {
  Clock clock;
  Database database({}, clock);
  std::atomic<uint64_t> acknowledged{0}, early{0};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    Session session(database);
    for (uint64_t i = 1; i <= uint64_t{100000} / kSlower; ++i) {
      session.Set(0, "k" + std::to_string(i % 3), std::to_string(i));
      acknowledged.store(i);
    }
    stop = true;
  });
  RunThreads(2, [&](size_t thread) {
    Session session(database);
    Transaction& txn = session.txn();
    const Isolation isolation = thread == 0 ? Isolation::kSnapshot : Isolation::kSerializable;
    while (!stop) {
      const uint64_t known = acknowledged.load();
      if (!txn.BeginSnapshot(isolation, thread == 0)) std::abort();
      uint64_t newest = 0;
      for (int k = 0; k < 3; ++k) {
        const std::string name = "k" + std::to_string(k);
        newest = std::max(newest, static_cast<uint64_t>(Number(txn.Get(0, Key(name)))));
      }
      early += newest >= known ? 0 : 1;
      if (thread == 0)
        session.Finish();
      else
        static_cast<void>(txn.Commit());
      session.Breathe();
    }
  });
  writer.join();
  CHECK(early == 0);
}

}  // namespace
}  // namespace fluxkv::engine
