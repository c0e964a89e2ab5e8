#include "tests/server/loop_fixture.h"

#include <chrono>
#include <csignal>
#include <future>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "engine/handle.h"

namespace fluxkv::server {
namespace {

constexpr int kWaitMs = 20000;
constexpr int64_t kStopMs = 300;

bool Readable(int fd, int wait_ms) {
  pollfd wanted{fd, POLLIN, 0};
  return poll(&wanted, 1, wait_ms) == 1;
}

}  // namespace

void TestClient::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT(sent > 0);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string TestClient::Receive(size_t size) const {
  std::string bytes(size, '\0');
  size_t got = 0;
  while (got < size && Readable(fd_, kWaitMs)) {
    ssize_t more = recv(fd_, bytes.data() + got, size - got, 0);
    if (more <= 0) break;
    got += static_cast<size_t>(more);
  }
  bytes.resize(got);
  return bytes;
}

bool TestClient::Silent() const {
  return !Readable(fd_, 0);
}

bool TestClient::Ended() const {
  char byte = 0;
  return Readable(fd_, kWaitMs) && recv(fd_, &byte, 1, 0) == 0;
}

void TestClient::EndInput() const {
  ASSERT(shutdown(fd_, SHUT_WR) == 0);
}

void TestClient::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

LoopFixture::LoopFixture(const std::vector<std::string>& options, int64_t gather_us_max) {
  std::signal(SIGPIPE, SIG_IGN);  // clients go as they like
  logger_ = std::move(Logger::Open("/dev/null").value());
  std::vector<std::string> notes;
  config_ = std::move(config::Config::Load(options, &notes).value());
  slowlog_ = std::make_unique<command::SlowLog>(config_->settings().slowlog_entries_max);
  stats_.loops.push_back(std::make_unique<command::LoopStats>(table_.count()));
  database_ = std::make_unique<engine::Database>(engine::Options(), clock_);
  log().SetRecording(true);
  log().SetSafe(0);
  services_ = std::make_unique<command::Services>(
      command::Services{*database_, clock_, *config_, table_, pubsub_, clients_, *slowlog_,
                        latency_, stats_, control_, persistence_});
  loop_ = std::make_unique<EventLoop>(0, *services_, *stats_.loops[0], *logger_);
  if (gather_us_max != 0) loop_->set_gather_us_max(gather_us_max);
  pubsub_.SetMailboxes({loop_.get()});
  clients_.SetMailboxes({loop_.get()});
  thread_ = std::thread([this] { loop_->Run(); });
  prober_ = std::make_unique<TestClient>(Connect());
}

LoopFixture::~LoopFixture() {
  StopLoop();
}

void LoopFixture::StopLoop() {
  if (!thread_.joinable()) return;
  prober_.reset();
  loop_->Stop(clock_.Tick() + kStopMs);
  thread_.join();
  loop_->Detach();
}

TestClient LoopFixture::Connect() {
  int ends[2];
  ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  NewSocket socket;
  socket.fd = ends[0];
  socket.unix_socket = true;
  ASSERT(loop_->AddSocket(std::move(socket)));
  return TestClient(ends[1]);
}

void LoopFixture::WaitForCommits(engine::Stamp stamp) {
  while (store().stamp.load() < stamp) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

void LoopFixture::FinishTurn() {
  for (int i = 0; i < 2; ++i) {
    std::promise<void> ran;
    ASSERT(loop_->RunTask([&] { ran.set_value(); }));
    ran.get_future().wait();
  }
}

void LoopFixture::InOneTurn(const std::function<void()>& send) {
  std::promise<void> holds, sent;
  ASSERT(loop_->RunTask([&] {
    holds.set_value();
    sent.get_future().wait();
  }));
  holds.get_future().wait();
  send();
  sent.set_value();
  FinishTurn();  // our promises outlive it
}

bool LoopFixture::Nothing(const TestClient& client) {
  // The second answer comes in a later turn than the first was in.
  for (int i = 0; i < 2; ++i) {
    prober_->Send("PING\r\n");
    ASSERT(prober_->Expect("+PONG\r\n"));
  }
  return client.Silent();
}

int EarlyReplies(LoopFixture& f, size_t rounds, size_t commands_max) {
  TestClient client = f.Connect();
  int early = 0;
  for (size_t round = 0; round < rounds; ++round) {
    const size_t commands = 1 + round % commands_max;
    std::string all;
    for (size_t i = 0; i < commands; ++i) all += "INCR n\r\n";
    client.Send(all);
    for (size_t i = 0; i < commands; ++i) {
      std::string number;
      while (!number.ends_with("\r\n")) {
        const std::string byte = client.Receive(1);
        if (byte.empty()) return early + 1000;
        number += byte;
      }
      if (std::stoull(number.substr(1)) > f.log().safe()) ++early;
    }
  }
  return early;
}

}  // namespace fluxkv::server
