// A load generator for Redis-protocol servers that is cheap itself,
// so that the server is what is measured.
//
//   load --port P --do 'SET key:{key} {value}' [--connections 50] [--pipeline 16]
//        [--requests 1000000] [--keys 1000000] [--value-bytes 64] [--zipf 0] [--seed 1] [--rate 0]
//
// {key}: 12 digits, uniform or by Zipf's law over --keys; {new}: a number not used before in this
// run; {random}: the same as 16 hex digits in scrambled order, so that new keys do not come
// sorted; {value}: --value-bytes of 'x'. Several commands are separated by ' ; ' and together are
// one request. Requests are encoded before the clock starts, new ones beyond 256 MB as they are
// sent; replies are counted, not kept. --rate: so many requests a second are due, and what one
// takes counts from then on, whether or not a connection was free for it; 0: each connection sends
// again when it has its answer. One thread, epoll. Prints one line:
//   rps 123456.7 p50_ms 0.120 p99_ms 0.400 p999_ms 0.900 errors 0
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::map<std::string, std::string> text = {
      {"--port", "6379"},        {"--do", ""},
      {"--connections", "50"},   {"--pipeline", "16"},
      {"--requests", "1000000"}, {"--keys", "1000000"},
      {"--value-bytes", "64"},   {"--zipf", "0"},
      {"--seed", "1"},           {"--rate", "0"},
  };
  size_t Number(const char* name) const {
    return std::strtoull(text.at(name).c_str(), nullptr, 10);
  }
};

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "load: %s\n", what);
  std::exit(1);
}

// Counts complete replies of RESP2 in a stream that may be cut anywhere.
class ReplyCounter {
 public:
  size_t Feed(std::string_view bytes) {
    size_t complete = 0;
    while (!bytes.empty()) {
      if (body_left_ > 0) {
        size_t taken = std::min(body_left_, bytes.size());
        body_left_ -= taken;
        bytes.remove_prefix(taken);
        if (body_left_ == 0) complete += Item();
        continue;
      }
      size_t newline = bytes.find('\n');
      line_.append(bytes.substr(0, newline));
      if (newline == std::string_view::npos) break;
      bytes.remove_prefix(newline + 1);
      complete += Line();
      line_.clear();
    }
    return complete;
  }
  size_t errors() const { return errors_; }

 private:
  size_t Line() {
    long number = std::strtol(line_.c_str() + 1, nullptr, 10);
    if (line_[0] == '-') ++errors_;
    if (line_[0] == '$' && number >= 0) {
      body_left_ = static_cast<size_t>(number) + 2;
      return 0;
    }
    if (line_[0] == '*' && number > 0) {
      open_.push_back(number);
      return 0;
    }
    return Item();
  }

  // One item is complete: it may complete the arrays around it. 1 when it was the outermost.
  size_t Item() {
    while (!open_.empty()) {
      if (--open_.back() > 0) return 0;
      open_.pop_back();
    }
    return 1;
  }

  std::string line_;
  size_t body_left_ = 0;
  size_t errors_ = 0;
  std::vector<long> open_;
};

// Encodes requests from a template.
class Encoder {
 public:
  Encoder(const Options& options)
      : random_(options.Number("--seed")),
        keys_(options.Number("--keys")),
        value_(options.Number("--value-bytes"), 'x'),
        next_new_(random_() % 1000000000 * 1000000) {
    std::vector<std::string> command;
    std::string rest = options.text.at("--do") + " ";
    for (size_t end; (end = rest.find(' ')) != std::string::npos; rest.erase(0, end + 1)) {
      std::string word = rest.substr(0, end);
      if (word == ";") {
        commands_.push_back(std::move(command));
        command.clear();
      } else if (!word.empty()) {
        command.push_back(word);
      }
    }
    commands_.push_back(command);
    double exponent = std::atof(options.text.at("--zipf").c_str());
    double sum = 0;
    for (size_t rank = 1; exponent > 0 && rank <= keys_; ++rank) {
      cumulative_.push_back(sum += 1 / std::pow(static_cast<double>(rank), exponent));
    }
  }

  size_t replies_per_request() const { return commands_.size(); }

  void Append(std::string* out) {
    for (const std::vector<std::string>& command : commands_) {
      *out += "*" + std::to_string(command.size()) + "\r\n";
      for (std::string word : command) {
        Replace(&word, "{key}", [this] { return Key(); });
        Replace(&word, "{new}", [this] { return std::to_string(next_new_++); });
        Replace(&word, "{random}", [this] { return Scrambled(next_new_++); });
        Replace(&word, "{value}", [this] { return value_; });
        *out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
      }
    }
  }

 private:
  template <class Make>
  static void Replace(std::string* word, std::string_view what, Make make) {
    size_t at = word->find(what);
    if (at != std::string::npos) word->replace(at, what.size(), make());
  }

  // The finalizer of splitmix64: each number has its own result.
  static std::string Scrambled(uint64_t number) {
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
    char digits[24];
    std::snprintf(digits, sizeof(digits), "%016" PRIx64, number ^ (number >> 31));
    return digits;
  }

  std::string Key() {
    size_t number = random_() % keys_;
    if (!cumulative_.empty()) {
      double point = std::generate_canonical<double, 53>(random_) * cumulative_.back();
      auto rank =
          std::lower_bound(cumulative_.begin(), cumulative_.end(), point) - cumulative_.begin();
      number =
          static_cast<size_t>(rank) * 2654435761 % keys_;  // the popular keys are not neighbours
    }
    char digits[24];
    std::snprintf(digits, sizeof(digits), "%012zu", number);
    return digits;
  }

  std::mt19937_64 random_;
  size_t keys_;
  std::string value_;
  size_t next_new_;
  std::vector<std::vector<std::string>> commands_;
  std::vector<double> cumulative_;
};

// Batches of --pipeline requests. They are encoded once and sent again and again, unless there is
// something new in each of them.
class Batches {
 public:
  Batches(const Options& options, size_t total)
      : encoder_(options), pipeline_(options.Number("--pipeline")) {
    const std::string& requests = options.text.at("--do");
    unique_ = requests.find("{new}") != std::string::npos ||
              requests.find("{random}") != std::string::npos;
    size_t bytes = 0;
    while (encoded_.size() < (unique_ ? total : std::min<size_t>(total, 40000)) &&
           bytes < kEncodedMax) {
      bytes += Encode(&encoded_.emplace_back());
    }
  }

  size_t replies_per_batch() const { return pipeline_ * encoder_.replies_per_request(); }

  // Holds until the next call.
  std::string_view Next() {
    size_t at = next_++;
    if (!unique_) return encoded_[at % encoded_.size()];
    if (at < encoded_.size()) return encoded_[at];
    Encode(&late_);
    return late_;
  }

 private:
  static constexpr size_t kEncodedMax = size_t{256} << 20;

  size_t Encode(std::string* batch) {
    batch->clear();
    for (size_t i = 0; i < pipeline_; ++i) encoder_.Append(batch);
    return batch->size();
  }

  Encoder encoder_;
  size_t pipeline_;
  bool unique_;
  std::vector<std::string> encoded_;
  std::string late_;
  size_t next_ = 0;
};

struct Connection {
  int fd = -1;
  size_t awaited = 0;
  Clock::time_point sent;
  ReplyCounter replies;
};

int Connect(size_t port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    Die("cannot connect");
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return fd;
}

void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) Die("the server closed a connection");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

// When batches are due: at once, or at even distances.
class Pace {
 public:
  explicit Pace(double batches_per_second)
      : apart_(batches_per_second > 0 ? 1e9 / batches_per_second : 0) {}
  Clock::time_point Due(size_t batch) const {
    if (apart_ == 0) return Clock::now();
    return start_ +
           std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(batch) * apart_));
  }

 private:
  Clock::time_point start_ = Clock::now();
  double apart_;  // ns
};

// Sends the batches over all connections, one batch in flight on each; returns the milliseconds
// each took.
std::vector<float> Drive(size_t total, const Pace& pace, Batches* batches,
                         std::vector<Connection>* connections) {
  int poll_fd = epoll_create1(0);
  std::deque<Connection*> idle;
  for (Connection& connection : *connections) {
    epoll_event event{EPOLLIN, {.ptr = &connection}};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, connection.fd, &event);
    idle.push_back(&connection);
  }
  constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds(30);
  size_t issued = 0;
  // Sends what is due; returns how long nothing else will be.
  auto issue = [&] {
    while (!idle.empty() && issued < total) {
      const Clock::time_point due = pace.Due(issued);
      const std::chrono::nanoseconds wait = due - Clock::now();
      if (wait.count() > 0) return wait;
      Connection* connection = idle.front();
      idle.pop_front();
      ++issued;
      connection->awaited = batches->replies_per_batch();
      connection->sent = due;
      SendAll(connection->fd, batches->Next());
    }
    return kPatience;
  };
  std::vector<float> took_ms;
  took_ms.reserve(total);
  std::vector<char> buffer(1 << 18);
  epoll_event events[256];
  while (took_ms.size() < total) {
    const std::chrono::nanoseconds wait = issue();
    const timespec timeout{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
    int ready = epoll_pwait2(poll_fd, events, 256, &timeout, nullptr);
    if (ready < 0 || (ready == 0 && wait == kPatience)) Die("no reply within 30 s");
    for (int i = 0; i < ready; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      ssize_t got = recv(connection->fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) Die("the server closed a connection");
      size_t replies = connection->replies.Feed({buffer.data(), static_cast<size_t>(got)});
      if (replies > connection->awaited) Die("more replies than requests");
      connection->awaited -= replies;
      if (replies == 0 || connection->awaited > 0) continue;
      took_ms.push_back(
          std::chrono::duration<float, std::milli>(Clock::now() - connection->sent).count());
      idle.push_back(connection);
      issue();
    }
  }
  close(poll_fd);
  return took_ms;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    if (!options.text.contains(argv[i]) || i + 1 == argc)
      Die("unknown option, or one without a value");
    options.text[argv[i]] = argv[i + 1];
  }
  size_t pipeline = options.Number("--pipeline");
  if (options.text["--do"].empty() || pipeline == 0 || options.Number("--keys") == 0)
    Die("--do is missing");
  size_t total = std::max<size_t>(1, options.Number("--requests") / pipeline);
  Batches batches(options, total);
  std::vector<Connection> connections(options.Number("--connections"));
  for (Connection& connection : connections) connection.fd = Connect(options.Number("--port"));

  Clock::time_point start = Clock::now();
  const Pace pace(static_cast<double>(options.Number("--rate")) / static_cast<double>(pipeline));
  std::vector<float> took_ms = Drive(total, pace, &batches, &connections);
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::sort(took_ms.begin(), took_ms.end());
  size_t errors = 0;
  for (const Connection& connection : connections) errors += connection.replies.errors();
  std::printf("rps %.1f p50_ms %.3f p99_ms %.3f p999_ms %.3f errors %zu\n",
              static_cast<double>(total * pipeline) / seconds, took_ms[took_ms.size() / 2],
              took_ms[took_ms.size() * 99 / 100], took_ms[took_ms.size() * 999 / 1000], errors);
}
