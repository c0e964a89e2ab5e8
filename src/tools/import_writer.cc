#include "tools/import_writer.h"

#include <chrono>
#include <thread>

#include "base/check.h"

namespace fluxkv::tools {
namespace {

constexpr size_t kBatchBytes = 64 * 1024;
// A value of that size is sent from where it is.
constexpr size_t kDirectBytes = 64 * 1024;
constexpr size_t kOnWayBytesMax = 16 << 20;
constexpr size_t kOnWayCommandsMax = 10'000;
// What a SET has besides key, value and deadline, at most.
constexpr size_t kFrameBytes = 128;
constexpr std::chrono::milliseconds kLoadingPause{500};

using Kind = RedisClient::Reply::Kind;

Status Refused(std::string_view error) {
  return Status::Error("the server answers: " + std::string(error));
}

}  // namespace

Status LogIn(RedisClient& client, const ImportOptions& options, std::FILE* notices) {
  if (!options.password.empty()) {
    Result<RedisClient::Reply> reply = options.user.empty()
                                           ? client.Call({"AUTH", options.password})
                                           : client.Call({"AUTH", options.user, options.password});
    if (!reply.ok()) return std::move(reply).status();
    if (reply.value().kind == Kind::kError) return Refused(reply.value().text);
  }
  for (bool told = false;; told = true) {
    Result<RedisClient::Reply> reply = client.Call({"PING"});
    if (!reply.ok()) return std::move(reply).status();
    if (reply.value().kind != Kind::kError) return {};
    if (!reply.value().text.starts_with("LOADING")) return Refused(reply.value().text);
    if (!told) std::fprintf(notices, "the server is loading its data; waiting until it is done\n");
    std::this_thread::sleep_for(kLoadingPause);
  }
}

Result<RedisClient::Reply> ImportWriter::Ask(std::initializer_list<std::string_view> arguments) {
  ASSERT(on_way_.empty());
  Result<RedisClient::Reply> reply = client_.Call(arguments);
  if (reply.ok() && reply.value().kind == Kind::kError) return Refused(reply.value().text);
  return reply;
}

Status ImportWriter::OpenDatabase(uint32_t db) {
  Status status = Finish();
  if (!status.ok()) return status;
  std::string number = std::to_string(db);
  Result<RedisClient::Reply> selected = Ask({"SELECT", number});
  if (!selected.ok()) {
    return Status::Error("database " + number + ": " + selected.message());
  }
  selected_ = db;
  bool first_time = opened_.insert(db).second;
  if (!first_time || existing_ != ImportOptions::Existing::kRefuse) return {};
  Result<RedisClient::Reply> size = Ask({"DBSIZE"});
  if (!size.ok()) return std::move(size).status();
  if (size.value().text == "0") return {};
  return Status::Error("database " + number + " of the server has " +
                       std::string(size.value().text) +
                       " keys: give --replace to overwrite those that are in the file as well, or "
                       "--keep to leave them");
}

Status ImportWriter::Put(uint32_t db, const types::RdbEntry& entry) {
  if (selected_ != db) {
    Status status = OpenDatabase(db);
    if (!status.ok()) return status;
  }
  size_t bytes = entry.key.size() + entry.value.size() + kFrameBytes;
  Status status = MakeRoom(bytes);
  if (!status.ok()) return status;

  // Without --replace no key is ever overwritten, not even one that came after the start.
  bool only_new = existing_ != ImportOptions::Existing::kReplace;
  size_t arguments = 3 + (only_new ? 1 : 0) + (entry.expiry_ms ? 2 : 0);
  request_ += '*';
  request_ += std::to_string(arguments);
  request_ += "\r\n$3\r\nSET\r\n";
  AppendBulkHeader(request_, entry.key.size());
  request_ += entry.key;
  request_ += "\r\n";
  AppendBulkHeader(request_, entry.value.size());
  on_way_.push_back(bytes);
  on_way_bytes_ += bytes;
  ++request_commands_;
  if (entry.value.size() < kDirectBytes) {
    request_ += entry.value;
  } else {
    status = Flush();
    if (status.ok()) status = client_.Send(entry.value);
    if (!status.ok()) return Fail(std::move(status));
  }
  request_ += "\r\n";
  if (only_new) request_ += "$2\r\nNX\r\n";
  if (entry.expiry_ms) {
    std::string deadline = std::to_string(*entry.expiry_ms);
    request_ += "$4\r\nPXAT\r\n";
    AppendBulkHeader(request_, deadline.size());
    request_ += deadline;
    request_ += "\r\n";
  }
  if (request_.size() < kBatchBytes) return {};
  status = Flush();
  return status.ok() ? Status() : Fail(std::move(status));
}

Status ImportWriter::MakeRoom(size_t bytes) {
  if (on_way_.size() < kOnWayCommandsMax && on_way_bytes_ + bytes <= kOnWayBytesMax) return {};
  Status status = Flush();
  if (!status.ok()) return Fail(std::move(status));
  // Down to the half, so that commands go on in batches.
  while (on_way_.size() > kOnWayCommandsMax / 2 ||
         (!on_way_.empty() && on_way_bytes_ + bytes > kOnWayBytesMax / 2)) {
    status = ReadReply();
    if (!status.ok()) return status;
  }
  return {};
}

Status ImportWriter::Flush() {
  counts_.sent += request_commands_;
  request_commands_ = 0;
  Status status = client_.Send(request_);
  request_.clear();
  return status;
}

Status ImportWriter::ReadReply() {
  Result<RedisClient::Reply> reply = client_.Read();
  if (!reply.ok()) return std::move(reply).status();
  on_way_bytes_ -= on_way_.front();
  on_way_.pop_front();
  switch (reply.value().kind) {
    case Kind::kStatus:
      ++counts_.stored;
      return {};
    case Kind::kNil:
      ++counts_.kept;
      return {};
    default:
      break;
  }
  ++counts_.refused;
  if (!first_error_.empty()) return {};
  first_error_ = reply.value().text;
  return Fail(Refused(first_error_));
}

Status ImportWriter::Fail(Status reason) {
  while (on_way_.size() > request_commands_) {
    if (!ReadReply().ok()) break;
  }
  return first_error_.empty() ? std::move(reason) : Refused(first_error_);
}

Status ImportWriter::Finish() {
  Status status = Flush();
  if (!status.ok()) return Fail(std::move(status));
  while (!on_way_.empty()) {
    status = ReadReply();
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace fluxkv::tools
