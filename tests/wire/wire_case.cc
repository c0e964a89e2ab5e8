#include "tests/wire/wire_case.h"

#include <chrono>
#include <thread>

#include <doctest/doctest.h>

namespace fluxkv::wire {

SharedServer& SharedServer::Instance() {
  static SharedServer shared;
  return shared;
}

ServerProcess& SharedServer::Get(const std::string& file, const std::vector<std::string>& options) {
  std::string key = file;
  for (const std::string& option : options) key += '\n' + option;
  if (server_ != nullptr && (key != key_ || !server_->Alive())) {
    std::string problem = Stop();
    CHECK_MESSAGE(problem.empty(), problem);
  }
  if (server_ == nullptr) server_ = std::make_unique<ServerProcess>(options);
  key_ = key;
  return *server_;
}

std::string SharedServer::Stop() {
  if (server_ == nullptr) return "";
  int code = server_->Stop();
  std::string output = server_->Output();
  server_.reset();
  return code == 0 ? ""
                   : "the server ended with exit code " + std::to_string(code) + ":\n" + output;
}

bool Becomes(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

WireCase::WireCase(const std::vector<std::string>& options, const char* file)
    : server(SharedServer::Instance().Get(file, options)), client(server.port()) {
  REQUIRE(client.Do({"FLUSHALL"}) == "OK");
}

WireCase::~WireCase() {
  if (server.Alive()) return;
  std::string problem = SharedServer::Instance().Stop();
  CHECK_MESSAGE(problem.empty(), problem);
}

}  // namespace fluxkv::wire
