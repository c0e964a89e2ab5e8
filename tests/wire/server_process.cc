#include "tests/wire/server_process.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/wire/client.h"

namespace fluxkv::wire {
namespace {

constexpr int kStartAttempts = 3;                 // another process may take the free port first
constexpr std::chrono::seconds kReadyWithin{30};  // sanitizer builds are slow
constexpr std::chrono::seconds kStopWithin{20};
constexpr std::chrono::milliseconds kPoll{10};

std::string Environment(const char* name, const std::string& otherwise) {
  const char* value = getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// A configuration file stands before all options.
bool HasFile(const std::vector<std::string>& options) {
  return !options.empty() && !options[0].starts_with("--");
}

}  // namespace

int FreePort() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bool ok = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
            getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!ok) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

ServerProcess::ServerProcess(std::vector<std::string> options, std::string program, Wait wait) {
  if (program.empty()) {
    program = Environment("FLUXKV_SERVER", "build/fluxkv");
    std::string threads = Environment("FLUXKV_THREADS", "");
    auto first = options.begin() + (HasFile(options) ? 1 : 0);
    first = options.insert(first, {"--durability", "none"});  // a test may give another after it
    if (!threads.empty()) first = options.insert(first, {"--threads", threads});
    std::string io_uring = Environment("FLUXKV_IO_URING", "");
    if (!io_uring.empty()) options.insert(first, {"--io-uring", io_uring});
  }
  char pattern[] = "/tmp/fluxkv-test-XXXXXX";
  if (mkdtemp(pattern) == nullptr) throw std::runtime_error("no temporary directory");
  dir_ = pattern;
  for (int attempt = 0; attempt < kStartAttempts; ++attempt) {
    port_ = FreePort();
    Start(options, program);
    if (wait == Wait::kNo || WaitUntilReady()) return;
  }
  std::string output = Output();
  std::filesystem::remove_all(dir_);
  throw std::runtime_error("the server does not come up (exit code " + std::to_string(exit_code_) +
                           "): " + output);
}

ServerProcess::~ServerProcess() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void ServerProcess::Start(const std::vector<std::string>& options, const std::string& program) {
  // Everything that allocates is done before the fork.
  std::vector<std::string> arguments = {program};
  auto first = options.begin() + (HasFile(options) ? 1 : 0);
  arguments.insert(arguments.end(), options.begin(), first);
  arguments.insert(arguments.end(),
                   {"--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir", dir_});
  arguments.insert(arguments.end(), first, options.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string log = dir_ + "/output";

  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test program that crashes leaves no server behind
    int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  running_ = true;
}

bool ServerProcess::WaitUntilReady() {
  auto deadline = std::chrono::steady_clock::now() + kReadyWithin;
  while (Alive() && std::chrono::steady_clock::now() < deadline) {
    try {
      std::string answer = Client(port_).Do({"PING"});
      if (answer == "PONG" || answer.find("NOAUTH") != std::string::npos) return true;
    } catch (const std::runtime_error&) {
      // Not listening yet.
    }
    std::this_thread::sleep_for(kPoll);
  }
  Kill();
  return false;
}

void ServerProcess::Kill() {
  if (!Alive()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  Reap(status);
}

void ServerProcess::Reap(int status) {
  running_ = false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool ServerProcess::Alive() {
  int status = 0;
  if (running_ && waitpid(pid_, &status, WNOHANG) == pid_) Reap(status);
  return running_;
}

int ServerProcess::Stop() {
  if (Alive()) kill(pid_, SIGTERM);
  return WaitUntilEnded();
}

int ServerProcess::WaitUntilEnded() {
  auto deadline = std::chrono::steady_clock::now() + kStopWithin;
  while (Alive()) {
    if (std::chrono::steady_clock::now() > deadline) kill(pid_, SIGKILL);
    std::this_thread::sleep_for(kPoll);
  }
  return exit_code_;
}

std::string ServerProcess::Output() const {
  std::ifstream file(dir_ + "/output");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace fluxkv::wire
