#include "tests/wire/client.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace fluxkv::wire {
namespace {

constexpr int kReplyTimeoutMs = 10000;
constexpr int kDepthMax = 64;

[[noreturn]] void Fail(const std::string& what) {
  throw std::runtime_error(what);
}

std::string Quoted(std::string_view bytes) {
  std::string out = "\"";
  for (char c : bytes) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (c >= ' ' && c <= '~') {
          out += c;
        } else {
          char hex[5];
          std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
          out += hex;
        }
    }
  }
  return out + "\"";
}

std::string Quoted(const redisReply& reply) {
  return Quoted({reply.str, reply.len});
}

bool IsAggregate(char type) {
  return std::strchr("*~>%|", type) != nullptr;
}
bool IsBlob(char type) {
  return std::strchr("$=!", type) != nullptr;
}
bool IsPairs(char type) {
  return type == '%' || type == '|';
}

std::string PrintableAggregate(std::string_view raw, size_t* at, char type, long count) {
  std::string out;
  for (long i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    out += Printable(raw, at);
    if (IsPairs(type)) {
      out += " => ";
      out += Printable(raw, at);
    }
  }
  switch (type) {
    case '%':
      return "{" + out + "}";
    case '|':
      return "|{" + out + "} " + Printable(raw, at);
    case '~':
      return "~[" + out + "]";
    case '>':
      return ">[" + out + "]";
    default:
      return "[" + out + "]";
  }
}

}  // namespace

std::string Encode(const Arguments& arguments) {
  std::string out = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& argument : arguments) {
    out += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return out;
}

Client::Client(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd_);
    Fail("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  }
  int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

Client::Client(const std::string& unix_socket)
    : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof(address.sun_path), "%s", unix_socket.c_str());
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd_);
    Fail("connect to " + unix_socket + ": " + std::strerror(errno));
  }
}

Client::~Client() {
  close(fd_);
}

void Client::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) Fail(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool Client::Readable(int timeout_ms) {
  pollfd wait{fd_, POLLIN, 0};
  return !buffer_.empty() || poll(&wait, 1, timeout_ms) == 1;
}

bool Client::Fill(int timeout_ms) {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, timeout_ms) != 1) Fail("no answer in time; so far: " + Quoted(buffer_));
  char chunk[65536];
  ssize_t got = recv(fd_, chunk, sizeof(chunk), 0);
  if (got <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(got));
  return true;
}

bool Client::Closed(int timeout_ms) {
  pollfd wait{fd_, POLLIN, 0};
  while (poll(&wait, 1, timeout_ms) == 1) {
    char chunk[65536];
    if (recv(fd_, chunk, sizeof(chunk), 0) <= 0) return true;
  }
  return false;
}

size_t Client::LineEnd(size_t at) {
  size_t end;
  while ((end = buffer_.find("\r\n", at)) == std::string::npos) {
    if (!Fill(kReplyTimeoutMs))
      Fail("the server closed the connection; so far: " + Quoted(buffer_));
  }
  return end + 2;
}

size_t Client::ReplyEnd(size_t at, int depth) {
  if (depth > kDepthMax) Fail("reply nested too deeply");
  size_t end = LineEnd(at);
  char type = buffer_[at];
  if (type == '\r' || std::strchr("+-:$*_#,(!=%~>|", type) == nullptr) {
    Fail("not RESP: " + Quoted(std::string_view(buffer_).substr(at, 60)));
  }
  long count = std::strtol(buffer_.c_str() + at + 1, nullptr, 10);
  if (IsBlob(type) && count >= 0) {
    end += static_cast<size_t>(count) + 2;
    while (buffer_.size() < end) {
      if (!Fill(kReplyTimeoutMs)) Fail("the server closed the connection inside a reply");
    }
  } else if (IsAggregate(type)) {
    long items = IsPairs(type) ? count * 2 : count;
    for (long i = 0; i < items; ++i) end = ReplyEnd(end, depth + 1);
    if (type == '|') end = ReplyEnd(end, depth + 1);
  }
  return end;
}

std::string Client::ReadRaw() {
  size_t end = ReplyEnd(0, 0);
  std::string raw = buffer_.substr(0, end);
  buffer_.erase(0, end);
  return raw;
}

std::string Client::Read() {
  std::string raw = ReadRaw();
  size_t at = 0;
  return Printable(raw, &at);
}

std::string Client::Do(const Arguments& arguments) {
  Send(Encode(arguments));
  return Read();
}

std::string Client::DoRaw(const Arguments& arguments) {
  Send(Encode(arguments));
  return ReadRaw();
}

std::string Printable(std::string_view raw, size_t* at) {
  char type = raw[*at];
  size_t line_end = raw.find("\r\n", *at);
  std::string line(raw.substr(*at + 1, line_end - *at - 1));
  *at = line_end + 2;
  long count = std::strtol(line.c_str(), nullptr, 10);
  if ((IsBlob(type) || IsAggregate(type)) && count < 0) return "(nil)";
  if (IsAggregate(type)) return PrintableAggregate(raw, at, type, count);
  if (IsBlob(type)) {
    std::string_view body = raw.substr(*at, static_cast<size_t>(count));
    *at += static_cast<size_t>(count) + 2;
    if (type == '!') return "(error) " + std::string(body);
    if (type == '=' && body.size() >= 4) {
      return "(verbatim " + std::string(body.substr(0, 3)) + ") " + Quoted(body.substr(4));
    }
    return Quoted(body);
  }
  switch (type) {
    case '-':
      return "(error) " + line;
    case ':':
      return "(integer) " + line;
    case '_':
      return "(nil)";
    case '#':
      return line == "t" ? "(true)" : "(false)";
    case ',':
      return "(double) " + line;
    case '(':
      return "(big) " + line;
    default:
      return line;
  }
}

HiredisContext Connect(int port) {
  timeval timeout{kReplyTimeoutMs / 1000, 0};
  HiredisContext context(redisConnectWithTimeout("127.0.0.1", port, timeout), redisFree);
  if (context == nullptr || context->err != 0)
    Fail("hiredis cannot connect to port " + std::to_string(port));
  redisSetTimeout(context.get(), timeout);
  return context;
}

namespace {

std::string PrintableHiredis(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_STATUS:
      return {reply.str, reply.len};
    case REDIS_REPLY_ERROR:
      return "(error) " + std::string(reply.str, reply.len);
    case REDIS_REPLY_INTEGER:
      return "(integer) " + std::to_string(reply.integer);
    case REDIS_REPLY_STRING:
      return Quoted(reply);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ARRAY: {
      std::string out;
      for (size_t i = 0; i < reply.elements; ++i) {
        out += (i > 0 ? ", " : "") + PrintableHiredis(*reply.element[i]);
      }
      return "[" + out + "]";
    }
    default:
      Fail("hiredis does not know this type of reply");
  }
}

}  // namespace

std::string Run(redisContext* context, const Arguments& arguments) {
  std::vector<const char*> data;
  std::vector<size_t> sizes;
  for (const std::string& argument : arguments) {
    data.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  auto* reply = static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(data.size()), data.data(), sizes.data()));
  if (reply == nullptr) Fail(std::string("hiredis: ") + context->errstr);
  std::string out = PrintableHiredis(*reply);
  freeReplyObject(reply);
  return out;
}

}  // namespace fluxkv::wire
