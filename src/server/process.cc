#include "server/process.h"

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"

namespace fluxkv::server {
namespace {

Status SystemError(const std::string& what) {
  return Status::Error(what + ": " + std::strerror(errno));
}

}  // namespace

Status Daemonize() {
  pid_t child = fork();
  if (child < 0) return SystemError("cannot go to the background");
  if (child > 0) _exit(0);
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return SystemError("cannot open /dev/null");
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  if (null > STDERR_FILENO) close(null);
  return {};
}

bool HasNotifySocket() {
  const char* path = getenv("NOTIFY_SOCKET");
  return path != nullptr && *path != '\0';
}

Status NotifyServiceManager(std::string_view state) {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return Status::Error("NOTIFY_SOCKET is not set");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  size_t length = std::strlen(path);
  if (length >= sizeof(address.sun_path)) return Status::Error("NOTIFY_SOCKET is too long");
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // abstract name
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return SystemError("cannot reach the service manager");
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  ssize_t sent = sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                        reinterpret_cast<sockaddr*>(&address), size);
  Status status;
  if (sent < 0) status = SystemError("cannot reach the service manager");
  close(fd);
  return status;
}

size_t RaiseFileLimit(size_t files) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur >= files) return files;
  rlimit wanted{files, files > limit.rlim_max ? files : limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return files;
  if (limit.rlim_max > limit.rlim_cur) {  // without privilege: as far as the hard limit
    wanted = {files < limit.rlim_max ? files : limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return wanted.rlim_cur;
  }
  return limit.rlim_cur;
}

void SleepExactly() {
  constexpr unsigned long kSlackNs = 1000;
  // Fails on no kernel that has it, and without it sleeps are longer: no reason to stop.
  static_cast<void>(prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0));
}

std::string ExecutablePath() {
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t all_pages = 0, resident_pages = 0;
  if (!(statm >> all_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string RandomRunId() {
  unsigned char bytes[20];
  ASSERT(getrandom(bytes, sizeof(bytes), 0) == static_cast<ssize_t>(sizeof(bytes)));
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id;
  for (unsigned char byte : bytes) {
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

Status PidFile::Write(const std::string& path) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError("cannot write pid file '" + path + "'");
  std::string text = std::to_string(getpid()) + "\n";
  bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  Status status;
  if (!written) status = SystemError("cannot write pid file '" + path + "'");
  close(fd);
  path_ = path;
  return status;
}

PidFile::~PidFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

SignalWaiter::SignalWaiter() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  ASSERT(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC);
  ASSERT(fd_ >= 0);
}

SignalWaiter::~SignalWaiter() {
  close(fd_);
}

int SignalWaiter::Wait(int other_fd) {
  for (;;) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {other_fd, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      ASSERT(errno == EINTR);
      continue;
    }
    if ((fds[1].revents & POLLIN) != 0) return 0;
    signalfd_siginfo info;
    if ((fds[0].revents & POLLIN) != 0 && read(fd_, &info, sizeof(info)) == sizeof(info)) {
      return static_cast<int>(info.ssi_signo);
    }
  }
}

}  // namespace fluxkv::server
