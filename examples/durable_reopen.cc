// What was committed is there when the directory is opened again, by this program or by a server.
//
//   durable_reopen [DIRECTORY]     (by default one of its own under /tmp, made anew)
//
// Prints, in a new directory:
// > run 1
// > run 2 of the same directory
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "fluxkv/fluxkv.h"

namespace {

using fluxkv::Result;
using fluxkv::Status;

int Fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

// Counts the runs. Commits are on disk when they return: kFull.
Result<int> Count(const std::string& directory) {
  Result<fluxkv::Database> db =
      fluxkv::Database::Open({.directory = directory, .durability = fluxkv::Durability::kFull});
  if (!db.ok()) return db.status();
  const Result<int> runs = db->transaction([](fluxkv::Transaction& t) -> Result<int> {
    fluxkv::TypedTransaction<std::string, int> counters(t);
    Result<std::optional<int>> before = counters.Get("runs");
    if (!before.ok()) return before.status();
    const int now = before->value_or(0) + 1;
    const Status status = counters.Insert("runs", now);
    if (!status.ok()) return status;
    return now;
  });
  const Status closed = db->Close();
  if (!closed.ok()) return closed;
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = argc > 1 ? argv[1] : "/tmp/fluxkv-example-XXXXXX";
  const bool own = argc == 1;
  if (own && mkdtemp(directory.data()) == nullptr) return 1;
  const Result<int> first = Count(directory);
  if (!first.ok()) return Fail(first.status());
  std::printf("run %d\n", *first);
  const Result<int> second = Count(directory);
  if (!second.ok()) return Fail(second.status());
  std::printf("run %d of the same directory\n", *second);
  if (own) std::filesystem::remove_all(directory);
  return 0;
}
