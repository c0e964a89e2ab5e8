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

TEST_CASE("log: while no new file can be opened the old one gets the lines") {
  config::TempDir dir;
  const std::string folder = dir.Path("logs");
  auto log = Logger::Open(folder + "/server.log");  // whose folder is made
  REQUIRE(log.ok());
  std::filesystem::rename(folder, folder + ".old");
  log.value()->Notice("one");
  CHECK(dir.Read("logs.old/server.log").ends_with(" * one\n"));
  std::filesystem::create_directory(folder);
  log.value()->Notice("two");
  CHECK(dir.Read("logs/server.log").ends_with(" * two\n"));
  CHECK(dir.Read("logs.old/server.log").ends_with(" * one\n"));
}

TEST_CASE("log: the file stays where it was named when the working directory changes") {
  config::TempDir dir;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.Path(""));
  auto log = Logger::Open("server.log");
  std::filesystem::current_path(before);
  REQUIRE(log.ok());
  log.value()->Notice("one");
  CHECK(dir.Read("server.log").ends_with(" * one\n"));
}

TEST_CASE("log: a start says why there can be no file") {
  config::TempDir dir;
  const std::string path = dir.Write("file", "") + "/server.log";
  auto log = Logger::Open(path);
  REQUIRE_FALSE(log.ok());
  CHECK(log.status().message() == "cannot open log file '" + path + "': Not a directory");
}

}  // namespace
}  // namespace fluxkv
