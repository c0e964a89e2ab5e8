// The floor: the least that a server of this protocol on libuv's streams can do, as a bound for
// the CPU a request that the servers beside it in bench/sidebyside.py may be measured against.
//
//   floor --port P [--dir D] [--turns yes]
//
// One loop, one flat hash of heap records; GET, SET (options are ignored), PING, EXISTS of one key
// and DBSIZE; with --turns the longest turn of its loop, by INFO and CONFIG RESETSTAT, as a bound
// for what bench/latency.py can see on a machine. It is no product: no versions, no expiry, no
// order, no log, no inline commands, no limit of memory. It trusts its client, but for requests too
// large or malformed, which close the connection. It is no law of nature either: who reads and
// writes many sockets with one system call can be below it.
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <strings.h>
#include <uv.h>
#include <xxhash.h>

namespace {

constexpr size_t kWordsMax = 64;
constexpr size_t kRequestBytesMax = size_t{1} << 20;
constexpr size_t kReadBytes = size_t{1} << 16;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "floor: %s\n", what);
  std::exit(1);
}

// Key and value follow.
struct Record {
  uint32_t key_bytes;
  uint32_t value_bytes;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  std::string_view key() { return {data(), key_bytes}; }
  std::string_view value() { return {data() + key_bytes, value_bytes}; }
};

// Open addressing, linear probing, at most half full; nothing is ever taken out.
class Table {
 public:
  size_t size() const { return size_; }

  Record* Find(std::string_view key) {
    return At(key, XXH3_64bits(key.data(), key.size()))->record;
  }

  void Set(std::string_view key, std::string_view value) {
    if (size_ * 2 >= slots_.size()) Grow();
    const uint64_t hash = XXH3_64bits(key.data(), key.size());
    Slot* slot = At(key, hash);
    if (slot->record == nullptr || slot->record->value_bytes != value.size()) {
      if (slot->record == nullptr) ++size_;
      std::free(slot->record);
      auto* record = static_cast<Record*>(std::malloc(sizeof(Record) + key.size() + value.size()));
      if (record == nullptr) Die("out of memory");
      *record = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
      std::memcpy(record->data(), key.data(), key.size());
      *slot = {hash, record};
    }
    std::memcpy(slot->record->data() + key.size(), value.data(), value.size());
  }

 private:
  struct Slot {
    uint64_t hash = 0;
    Record* record = nullptr;
  };

  // The slot that has the key, or the empty one where it belongs.
  Slot* At(std::string_view key, uint64_t hash) {
    for (size_t at = hash;; ++at) {
      Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.record == nullptr || (slot.hash == hash && slot.record->key() == key)) return &slot;
    }
  }

  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.record == nullptr) continue;
      size_t at = slot.hash & (slots_.size() - 1);
      while (slots_[at].record != nullptr) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1024);
  size_t size_ = 0;
};

struct Request {
  std::array<std::string_view, kWordsMax> words;
  size_t count = 0;
};

enum class Parsed { kWhole, kPart, kBad };

// Takes `<kind>number\r\n` off the front.
Parsed TakeNumber(char kind, size_t most, std::string_view* in, size_t* number) {
  if (in->empty()) return Parsed::kPart;
  if (in->front() != kind) return Parsed::kBad;
  *number = 0;
  size_t at = 1;
  for (; at < in->size() && (*in)[at] >= '0' && (*in)[at] <= '9'; ++at) {
    *number = *number * 10 + static_cast<size_t>((*in)[at] - '0');
    if (*number > most) return Parsed::kBad;
  }
  if (in->size() < at + 2) return Parsed::kPart;
  if (at == 1 || (*in)[at] != '\r' || (*in)[at + 1] != '\n') return Parsed::kBad;
  in->remove_prefix(at + 2);
  return Parsed::kWhole;
}

// Takes a request off the front when it is whole.
Parsed TakeRequest(std::string_view* input, Request* request) {
  std::string_view in = *input;
  Parsed parsed = TakeNumber('*', kWordsMax, &in, &request->count);
  if (parsed != Parsed::kWhole) return parsed;
  if (request->count == 0) return Parsed::kBad;
  for (size_t i = 0; i < request->count; ++i) {
    size_t bytes = 0;
    parsed = TakeNumber('$', kRequestBytesMax, &in, &bytes);
    if (parsed != Parsed::kWhole) return parsed;
    if (in.size() < bytes + 2) return Parsed::kPart;
    request->words[i] = in.substr(0, bytes);
    in.remove_prefix(bytes + 2);
  }
  *input = in;
  return Parsed::kWhole;
}

void AppendNumber(char kind, size_t number, std::string* out) {
  std::array<char, 24> text;
  char* end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  *out += kind;
  out->append(text.data(), end);
  *out += "\r\n";
}

// A turn is from one poll for what is ready to the next, with what the poll calls; in CPU time of
// the thread.
class Turns {
 public:
  void Start(uv_loop_t* loop) {
    uv_prepare_init(loop, &before_poll_);
    before_poll_.data = this;
    uv_prepare_start(&before_poll_, [](uv_prepare_t* h) {
      Turns* const self = static_cast<Turns*>(h->data);
      const int64_t before = std::exchange(self->began_ns_, CpuNs());
      if (before != 0) self->longest_ns_ = std::max(self->longest_ns_, self->began_ns_ - before);
    });
  }
  int64_t longest_us() const { return longest_ns_ / 1000; }
  void Reset() { longest_ns_ = began_ns_ = 0; }

 private:
  static int64_t CpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
  }
  uv_prepare_t before_poll_;
  int64_t began_ns_ = 0, longest_ns_ = 0;
};

void Execute(const Request& request, Table* table, Turns* turns, std::string* out) {
  const std::string_view name = request.words[0];
  auto is = [&](std::string_view command, size_t words_least) {
    return name.size() == command.size() && request.count >= words_least &&
           strncasecmp(name.data(), command.data(), name.size()) == 0;
  };
  if (is("GET", 2)) {
    Record* record = table->Find(request.words[1]);
    if (record == nullptr) {
      *out += "$-1\r\n";
      return;
    }
    AppendNumber('$', record->value_bytes, out);
    *out += record->value();
    *out += "\r\n";
  } else if (is("SET", 3)) {
    table->Set(request.words[1], request.words[2]);
    *out += "+OK\r\n";
  } else if (is("PING", 1)) {
    *out += "+PONG\r\n";
  } else if (is("EXISTS", 2)) {
    AppendNumber(':', table->Find(request.words[1]) != nullptr, out);
  } else if (is("DBSIZE", 1)) {
    AppendNumber(':', table->size(), out);
  } else if (is("INFO", 1)) {
    const std::string text = "longest_turn_usec:" + std::to_string(turns->longest_us()) + "\r\n";
    AppendNumber('$', text.size(), out);
    *out += text + "\r\n";
  } else if (is("CONFIG", 2) && request.words[1] == "RESETSTAT") {
    turns->Reset();
    *out += "+OK\r\n";
  } else {
    *out += "-ERR the floor does not know this command\r\n";
  }
}

struct Server {
  uv_tcp_t listener;
  Table table;
  Turns turns;
  Request request;
  std::string out;
  std::array<char, kReadBytes> buffer;  // of the read under way, whichever connection's it is
};

struct Connection {
  uv_tcp_t stream;
  std::string part;  // of a request whose rest is to come
};

// What the socket does not take at once.
struct Remainder {
  uv_write_t write;
  std::string bytes;
};

void Close(Connection* connection) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&connection->stream);
  if (uv_is_closing(handle)) return;
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
}

void Send(Connection* connection, const std::string& out) {
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->stream);
  uv_buf_t all = uv_buf_init(const_cast<char*>(out.data()), static_cast<unsigned>(out.size()));
  int sent = uv_try_write(stream, &all, 1);
  if (sent < 0 && sent != UV_EAGAIN) return Close(connection);
  if (sent == static_cast<int>(out.size())) return;
  auto* rest = new Remainder{{}, out.substr(static_cast<size_t>(std::max(sent, 0)))};
  rest->write.data = rest;
  uv_buf_t left = uv_buf_init(rest->bytes.data(), static_cast<unsigned>(rest->bytes.size()));
  uv_write(&rest->write, stream, &left, 1,
           [](uv_write_t* write, int) { delete static_cast<Remainder*>(write->data); });
}

void OnRead(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) {
  auto* connection = static_cast<Connection*>(stream->data);
  auto* server = static_cast<Server*>(stream->loop->data);
  if (got < 0) return Close(connection);
  std::string_view in(buffer->base, static_cast<size_t>(got));
  if (!connection->part.empty()) in = connection->part.append(in);
  server->out.clear();
  Parsed parsed;
  while ((parsed = TakeRequest(&in, &server->request)) == Parsed::kWhole) {
    Execute(server->request, &server->table, &server->turns, &server->out);
  }
  if (!server->out.empty()) Send(connection, server->out);
  if (parsed == Parsed::kBad || in.size() > kRequestBytesMax) return Close(connection);
  if (connection->part.empty()) {
    connection->part = in;
  } else {
    connection->part.erase(0, connection->part.size() - in.size());
  }
}

void OnConnection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* connection = new Connection;
  uv_tcp_init(listener->loop, &connection->stream);
  connection->stream.data = connection;
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->stream);
  if (uv_accept(listener, stream) != 0) return Close(connection);
  uv_tcp_nodelay(&connection->stream, 1);
  uv_read_start(
      stream,
      [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        auto& bytes = static_cast<Server*>(handle->loop->data)->buffer;
        *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
      },
      OnRead);
}

}  // namespace

int main(int argc, char** argv) {
  int port = 0;
  bool turns = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if ((option != "--port" && option != "--dir" && option != "--turns") || i + 1 == argc)
      Die("usage: floor --port P [--dir D] [--turns yes]");
    turns |= option == "--turns" && argv[i + 1] == std::string_view("yes");
    if (option == "--port") port = std::atoi(argv[i + 1]);
  }
  if (port <= 0 || port > 65535) Die("--port is missing, or no port");
  std::signal(SIGPIPE, SIG_IGN);
  auto server = std::make_unique<Server>();
  uv_loop_t* loop = uv_default_loop();
  loop->data = server.get();
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  uv_tcp_init(loop, &server->listener);
  int failed = uv_tcp_bind(&server->listener, reinterpret_cast<sockaddr*>(&address), 0);
  if (failed == 0) {
    failed = uv_listen(reinterpret_cast<uv_stream_t*>(&server->listener), 1024, OnConnection);
  }
  if (failed != 0) Die(uv_strerror(failed));
  if (turns) server->turns.Start(loop);
  uv_run(loop, UV_RUN_DEFAULT);
}
