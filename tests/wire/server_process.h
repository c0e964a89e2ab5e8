// A server of its own for a test: started on a free port in a fresh directory, stopped with
// SIGTERM, which must give exit code 0.
//
//   ServerProcess server({"--maxclients", "10"});
//   Client client(server.port());
//   ServerProcess with_file({"/tmp/x/fluxkv.toml", "--maxclients", "10"});
//   ServerProcess redis({"--save", ""}, kRedisServer);   // another program than that under test
//   ServerProcess again({"--dir", dir}, "", ServerProcess::Wait::kNo);   // need not come up
//
// Environment: FLUXKV_SERVER, the program (build/fluxkv); FLUXKV_THREADS and
// FLUXKV_IO_URING, given to it as --threads and --io-uring.
// Threads: one thread starts and stops; port() and pid() from any.
// Errors:  std::runtime_error with the server's own output when it does not come up.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace fluxkv::wire {

inline constexpr char kRedisServer[] = "build/peers/redis-server";

class ServerProcess {
 public:
  enum class Wait : bool { kNo, kUntilReady };

  explicit ServerProcess(std::vector<std::string> options = {}, std::string program = "",
                         Wait wait = Wait::kUntilReady);
  ~ServerProcess();  // kills what Stop has not stopped, removes the directory
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  const std::string& dir() const { return dir_; }

  // SIGTERM, then up to 20 s. The exit code, or minus the signal's number that ended it. Later
  // calls repeat the answer.
  int Stop();
  // SIGKILL, and waits for the end.
  void Kill();
  // Waits until the process has ended by itself, and returns what Stop does; it is killed when that
  // takes too long.
  int WaitUntilEnded();
  // Whether the process still runs.
  bool Alive();
  // What it has written to standard output and standard error.
  std::string Output() const;

 private:
  void Start(const std::vector<std::string>& options, const std::string& program);
  bool WaitUntilReady();
  void Reap(int status);

  int port_ = 0;
  pid_t pid_ = -1;
  bool running_ = false;
  int exit_code_ = 0;
  std::string dir_;
};

// A port that nobody listens on at this moment.
int FreePort();

}  // namespace fluxkv::wire
