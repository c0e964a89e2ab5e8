// Drives a fuzz target without libFuzzer, so that it builds with any compiler.
//   parser_fuzz [--seconds N] [--seed N] [file or folder of seeds ...]
// Each file is run as it is; then, for N seconds (0: not at all), mutations of the seeds that know
// RESP: numbers behind '*' and '$' change, slices are repeated, inputs are cut and joined, bytes
// flip. The same seed gives the same inputs again.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kInputBytesMax = 256 * 1024;

void RunOne(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(2);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class Mutator {
 public:
  Mutator(uint64_t seed, const std::vector<std::string>& seeds) : random_(seed), seeds_(seeds) {}

  std::string Next() {
    std::string input = seeds_[Below(seeds_.size())];
    for (size_t i = 1 + Below(6); i > 0; --i) MutateOnce(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
  }

 private:
  size_t Below(size_t bound) { return random_() % bound; }
  size_t Place(const std::string& input) { return Below(input.size() + 1); }

  void MutateOnce(std::string& input) {
    static constexpr char kTelling[] = "*$\r\n\0\"'\\x0 -9:~";
    switch (Below(8)) {
      case 0:
        ReplaceNumber(input);
        break;
      case 1:
        input.insert(Place(input), 1, kTelling[Below(sizeof(kTelling))]);
        break;
      case 2:
        if (!input.empty()) input[Below(input.size())] = static_cast<char>(random_());
        break;
      case 3:
        input.erase(Place(input), 1 + Below(4));
        break;
      case 4:
        input.resize(Place(input));
        break;
      case 5:
        input += seeds_[Below(seeds_.size())];
        break;
      case 6:
        RepeatSlice(input);
        break;
      case 7:
        input.insert(Place(input), WholeRequest());
        break;
    }
  }

  void ReplaceNumber(std::string& input) {
    static constexpr std::string_view kNumbers[] = {
        "0",     "-1",    "1",          "2",          "9",
        "10",    "11",    "20",         "21",         "62",
        "64",    "65",    "99",         "100",        "1000",
        "16384", "16385", "2147483647", "2147483648", "9223372036854775807",
        "01",    "-0",    "+1",         " 1",         "99999999999999999999",
        "",      "-",     "1x"};
    size_t at = input.find_first_of("*$", Place(input));
    if (at == std::string::npos) return;
    size_t end = input.find('\r', at);
    if (end == std::string::npos) end = input.size();
    input.replace(at + 1, end - at - 1, kNumbers[Below(std::size(kNumbers))]);
  }

  void RepeatSlice(std::string& input) {
    if (input.size() > kInputBytesMax) return;
    size_t from = Place(input);
    std::string slice = input.substr(from, 1 + Below(40));
    for (size_t i = Below(50) == 0 ? 2000 : Below(8); i > 0; --i) input.insert(from, slice);
  }

  std::string WholeRequest() {
    size_t count = 1 + Below(Below(10) == 0 ? 1500 : 12);
    std::string out = "*" + std::to_string(count) + "\r\n";
    for (size_t i = 0; i < count; ++i) {
      std::string bulk(Below(Below(20) == 0 ? 3000 : 70), static_cast<char>(random_()));
      out += "$" + std::to_string(bulk.size()) + "\r\n" + bulk + "\r\n";
    }
    return out;
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& seeds_;
};

uint64_t NumberAfter(int argc, char** argv, int& i) {
  uint64_t value = 0;
  const char* text = i + 1 < argc ? argv[++i] : "";
  auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0') {
    std::fprintf(stderr, "%s needs a number\n", argv[i]);
    std::exit(2);
  }
  return value;
}

void AddSeeds(const std::filesystem::path& path, std::vector<std::string>& seeds) {
  if (!std::filesystem::is_directory(path)) {
    seeds.push_back(ReadFile(path));
    return;
  }
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.is_regular_file()) seeds.push_back(ReadFile(entry.path()));
  }
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seconds = 10;
  uint64_t seed = std::random_device{}();
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    std::string_view option = argv[i];
    if (option == "--seconds") {
      seconds = NumberAfter(argc, argv, i);
    } else if (option == "--seed") {
      seed = NumberAfter(argc, argv, i);
    } else {
      AddSeeds(argv[i], seeds);
    }
  }
  for (const std::string& input : seeds) RunOne(input);
  if (seeds.empty()) seeds.push_back("*1\r\n$4\r\nPING\r\n");
  std::printf("seed %llu, %zu seed inputs\n", static_cast<unsigned long long>(seed), seeds.size());
  std::fflush(stdout);

  Mutator mutator(seed, seeds);
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) RunOne(mutator.Next());
  std::printf("%llu mutated inputs, no failure\n", static_cast<unsigned long long>(runs));
  return 0;
}
