// The configuration of the server: defaults, then a file, then what CONFIG REWRITE saved beside it,
// then the command line; and CONFIG GET, SET and REWRITE while running.
//
//   auto line = ParseCommandLine(arguments);   // --help, --version and --check are seen here
//   auto config = Config::Load(line.value(), &notes);   // notes: lines for the log
//   config.value()->OnChange("port", [&](const std::string& port) { return listener.Move(port); });
//   config.value()->settings().maxclients.load(std::memory_order_relaxed);
//
// Threads: settings() is read by any thread, without a lock. Get, Set, Rewrite and the getters
//          may be called from any thread; Set and Rewrite wait for each other. OnChange only
//          before other threads use the object. An applier runs on the thread that called Set,
//          sees the new values through Get, and must not call Set or Rewrite.
// Owns:    the values and the appliers.
// Errors:  Load: one line with file, line and what is allowed. Set and Rewrite: the text of the
//          error reply, "ERR " included.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/command_line.h"
#include "config/linked_options.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/settings.h"

namespace fluxkv::config {

// What is fixed at the start, and the first values of bind, port, durability, the data directory
// and the save points.
struct StartOptions {
  std::vector<std::string> bind;  // a leading '-': may be missing
  int port = 0;
  std::string unixsocket;
  int unixsocketperm = 0;  // 0: leave it to the umask
  int threads = 0;         // 0: one per core
  int databases = 0;
  int tcp_backlog = 0;
  bool daemonize = false;
  std::string pidfile;
  Supervised supervised = Supervised::kNo;
  std::string logfile;
  Permission debug_command = Permission::kNo;
  Durability durability = Durability::kNone;
  std::string data_dir;  // absolute; the server makes it if it is absent
  int64_t segment_bytes = 0;
  int segments = 0;
  std::vector<SavePoint> save_points;
  Isolation isolation = Isolation::kSerializable;
};

class Config {
 public:
  using Applier = std::function<Status(const std::string& new_value)>;

  // `notes` gets a line for everything that was left out or deserves a line in the log.
  static Result<std::unique_ptr<Config>> Load(const CommandLine& line,
                                              std::vector<std::string>* notes);
  // The same from the arguments (without the program's name).
  static Result<std::unique_ptr<Config>> Load(const std::vector<std::string>& arguments,
                                              std::vector<std::string>* notes);

  Settings& settings() { return settings_; }
  const Settings& settings() const { return settings_; }
  const StartOptions& start() const { return start_; }
  // The file as given, made absolute; empty if there is none.
  const std::string& path() const { return path_; }
  // Where Rewrite writes; empty if there is no file.
  const std::string& override_path() const { return override_path_; }

  std::string requirepass() const { return Text("requirepass"); }
  std::string dir() const { return Text("dir"); }
  std::vector<double> latency_percentiles() const;
  std::vector<SavePoint> save_points() const { return SavePointsOf(Text("save")); }
  // The canonical text of any option. Requires: `name` is in the table.
  std::string Text(std::string_view name) const;

  // CONFIG GET: (name, value) of every name that matches one of the patterns, in the order of the
  // table. A pattern without * ? [ is a name of any kind and is answered as it was written.
  std::vector<std::pair<std::string, std::string>> Get(
      const std::vector<std::string>& patterns) const;

  // CONFIG SET: all or nothing. What sets an option sets those that are linked with it
  // (linked_options.h). `client_is_local`: the client is on this machine
  // (enable-protected-configs local).
  Status Set(const std::vector<std::pair<std::string, std::string>>& pairs,
             bool client_is_local = false);

  // Runs when Set changes the option, under whatever name (not at Load). If it fails, everything is
  // put back and its message ends the error. Requires: `name` is in the table.
  void OnChange(std::string_view name, Applier applier);

  // CONFIG REWRITE: what was changed while running goes to <name>.override.toml beside the file,
  // never into the file.
  Status Rewrite();

  // The value of an option with this name must not be shown (SLOWLOG, MONITOR).
  static bool IsSensitive(std::string_view name);

 private:
  struct Change {
    size_t index;
    std::string name;  // as the client wrote it
    Value value;
    Value before;
  };
  struct Loading {
    std::vector<std::string>* notes;
    // Option and description of all that was given so far.
    std::vector<std::pair<size_t, std::string>> given;
  };

  Config();

  Status LoadDefaults();
  Status LoadFiles(const std::string& file, Loading* loading);
  Status LoadOverrides(Loading* loading);
  Status Apply(const std::vector<Assignment>& assignments, Loading* loading);
  void ApplyLinked(LinkedOption linked, const Value& value);
  // Whether the values go together, when all of them are there.
  Status CheckLoaded(const Loading& loading) const;
  void FillStart();

  Result<std::vector<Change>> CheckedChanges(
      const std::vector<std::pair<std::string, std::string>>& pairs, bool client_is_local) const;
  Status CheckNewValue(const Change& change) const;
  // Adds what the changes of linked options change in the others.
  Status AddLinkedChanges(std::vector<Change>* changes) const;
  Status CheckTogether(const std::vector<Change>& changes) const;
  bool MayChangeProtected(bool client_is_local) const;
  Status RunAppliers(const std::vector<Change>& changes);
  void RollBack(const std::vector<Change>& changes, size_t applied);

  // Requires: mutex_ is held, or no other thread has the object yet.
  void Store(size_t index, const Value& value);
  void MarkChanged(size_t index);
  Value ValueAt(size_t index) const;
  LinkedValues LinkedNow() const;
  Result<std::string> OverrideText() const;

  Settings settings_;
  StartOptions start_;
  std::string path_;
  std::string override_path_;
  std::vector<Applier> appliers_;  // by index of the option; fixed before threads start
  std::vector<Value> base_;        // after defaults and file; fixed after Load

  std::mutex set_mutex_;       // one Set or Rewrite at a time; taken before mutex_
  mutable std::mutex mutex_;   // guards values_ and changed_
  std::vector<Value> values_;  // by index of the option
  std::vector<bool> changed_;  // by CONFIG SET, now or in a run before
};

}  // namespace fluxkv::config
