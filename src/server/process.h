// What the server does with its own process: background, pid file, service manager, descriptor
// limit, signals.
//
//   SignalWaiter signals;                 // before any thread: all threads inherit the mask
//   int signal = signals.Wait(done_fd);   // 0: done_fd became readable
//
// Threads: the main thread. Errors: one line each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fluxkv::server {

// Goes on in a child that belongs to no terminal; the parent leaves with 0. Requires: one thread.
Status Daemonize();

// Whether a service manager waits for a message (environment variable NOTIFY_SOCKET).
bool HasNotifySocket();
// Sends "READY=1" and the like to the service manager, by the protocol of sd_notify(3).
Status NotifyServiceManager(std::string_view state);

// Raises RLIMIT_NOFILE so that `files` descriptors fit; returns what the limit is then.
size_t RaiseFileLimit(size_t files);

// This thread's sleeps, and those of threads that it starts from now on, are made longer by a
// microsecond at the most to be ended with others, and not by the system's usual fifty. Loops want
// that: who waits for a latch sleeps for some microseconds.
void SleepExactly();

// The path of this program.
std::string ExecutablePath();

// 40 hex digits that no other run has.
std::string RandomRunId();
// Resident memory of this process; 0 if the system does not say.
uint64_t ResidentBytes();

// Holds the pid while the process runs; removed in the end.
class PidFile {
 public:
  PidFile() = default;
  ~PidFile();
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  Status Write(const std::string& path);

 private:
  std::string path_;
};

// Turns SIGTERM, SIGINT and SIGHUP into return values; SIGPIPE is ignored.
class SignalWaiter {
 public:
  SignalWaiter();
  ~SignalWaiter();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;
  // Waits for a signal and returns its number, or for `other_fd` to become readable and returns 0.
  int Wait(int other_fd);

 private:
  int fd_ = -1;
};

}  // namespace fluxkv::server
