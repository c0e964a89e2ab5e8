// Goal: the log file gets each line, and one that was moved away or deleted is begun anew with the
// next line; a file that cannot be opened is told of at the start, and later loses lines without
// harm. Method: by hand, in a directory of its own.
#include "base/log.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "tests/config/temp_dir.h"

namespace fluxkv {
namespace {

TEST_CASE("log: a file that was moved away is begun anew, as logrotate expects it") {
  config::TempDir dir;
  const std::string path = dir.Path("server.log");
  auto log = Logger::Open(path);
  REQUIRE(log.ok());
  log.value()->Notice("one");
  std::filesystem::rename(path, path + ".1");
  log.value()->Warning("two {}", 2);
  log.value()->Verbose("below the level");
  std::filesystem::remove(path);
  log.value()->Notice("three");
  CHECK(dir.Read("server.log.1").ends_with(" * one\n"));
  const std::string now = dir.Read("server.log");
  CHECK(now.ends_with(" * three\n"));
  CHECK(now.find('\n') == now.size() - 1);
}

TEST_CASE("log: where no file can be, a start says so, and a running server goes on") {
  config::TempDir dir;
  const std::string folder = dir.Path("logs"), path = dir.Path("logs/server.log");
  CHECK(Logger::Open(path).status().message() ==
        "cannot open log file '" + path + "': No such file or directory");
  std::filesystem::create_directory(folder);
  auto log = Logger::Open(path);
  REQUIRE(log.ok());
  std::filesystem::remove_all(folder);
  log.value()->Notice("nowhere to be seen");
  std::filesystem::create_directory(folder);
  log.value()->Notice("kept");
  CHECK(dir.Read("logs/server.log").ends_with(" * kept\n"));
  CHECK(dir.Read("logs/server.log").find("nowhere") == std::string::npos);
}

}  // namespace
}  // namespace fluxkv
