// Goal: a node keeps its key, its head and its flags apart, though head, flags and the key's size
// share a word, at every size of key.
// Method: sizes around the steps of the allocator and around the first long key, each flag in each
// state with each kind of head; two threads that publish versions and change flags under a latch,
// while a third one reads.
#include "engine/node.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

std::string KeyOf(size_t size) {
  std::string key(size, 'k');
  for (size_t i = 0; i < size; ++i) key[i] = static_cast<char>(i * 11);
  return key;
}

VersionPtr WithPayload(size_t size, char fill) {
  VersionPtr version = Version::New(1, 0, kNoExpiry, size);
  std::memset(version->mutable_payload(), fill, size);
  return version;
}

TEST_CASE("node: key, head and flags are kept apart at every size of key") {
  const VersionPtr version = WithPayload(10, 'v');
  for (const size_t size : {0, 1, 3, 4, 5, 19, 20, 21, 36, 37, 1000, 65534, 65535, 65536, 100000}) {
    CAPTURE(size);
    const std::string key = KeyOf(size);
    Node* node = Node::New(key, 7);
    CHECK(node->head() == nullptr);
    for (Version* head : {version.get(), Node::Closed(), static_cast<Version*>(nullptr)}) {
      for (int state = 0; state < 8; ++state) {
        const bool filed = (state & 1) != 0, queued = (state & 2) != 0;
        const Version* before = node->head();
        filed ? node->set(Node::kFiled) : node->clear(Node::kFiled);
        queued ? node->set(Node::kQueued) : node->clear(Node::kQueued);
        CHECK(node->head() == before);
        (state & 4) != 0 ? node->set_head_ordered(head) : node->set_head(head);
        CHECK(node->head() == head);
        CHECK(node->head_ordered() == head);
        CHECK(node->has(Node::kFiled) == filed);
        CHECK(node->has(Node::kQueued) == queued);
        CHECK(node->key() == key);
        CHECK(node->access_s() == 7);
      }
    }
    Node::Delete(node);
  }
}

TEST_CASE("node: twelve bytes come before a key") {
  const auto bytes = [](size_t key_size) {
    Node* node = Node::New(KeyOf(key_size), 0);
    const size_t result = node->AllocatedBytes();
    Node::Delete(node);
    return result;
  };
  CHECK(bytes(0) == 16);
  CHECK(bytes(4) == 16);
  CHECK(bytes(5) == 32);
  CHECK(bytes(20) == 32);
  CHECK(bytes(21) == 48);
  CHECK(bytes(65534) == AllocatedBytes(12 + 65534));
  // Where four bytes more are another step.
  CHECK(bytes(81906) == AllocatedBytes(12 + 4 + 81906));
  CHECK(bytes(81906) > AllocatedBytes(12 + 81906));
}

TEST_CASE("node: who reads meets whole versions, whichever thread wrote the word last (N1, N3)") {
  constexpr int kRounds = 5000;
  Node* node = Node::New(KeyOf(20), 0);
  std::mutex latch;
  std::vector<VersionPtr> versions;  // guarded by latch; none goes before the reader does
  std::atomic<int> wrong{0}, running{2};
  std::atomic<int64_t> read{0};
  const auto change = [&](Node::Flag own, char fill) {
    bool flag = false;
    for (int i = 0; i < kRounds || read < 100; ++i) {
      const std::lock_guard lock(latch);
      wrong += node->has(own) != flag;
      if (i % 3 == 0 && i < kRounds) {
        node->set_head(versions.emplace_back(WithPayload(100, fill)).get());
        wrong += node->head() != versions.back().get() || node->has(own) != flag;
      } else {
        const Version* before = node->head();
        flag = !flag;
        flag ? node->set(own) : node->clear(own);
        wrong += node->head() != before;
      }
    }
    --running;
  };
  std::thread reader([&] {
    while (running != 0) {
      const Version* head = node->head();
      if (head == nullptr) continue;
      const std::string_view payload = head->payload();
      wrong += payload.size() != 100 || payload != std::string(100, payload[0]);
      wrong += node->key() != KeyOf(20);
      ++read;
    }
  });
  std::thread filed(change, Node::kFiled, 'a');
  std::thread queued(change, Node::kQueued, 'b');
  filed.join();
  queued.join();
  reader.join();
  CHECK(wrong == 0);
  Node::Delete(node);
}

}  // namespace
}  // namespace fluxkv::engine
