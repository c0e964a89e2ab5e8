// Goal: a node keeps its key, its head and its flags apart, though head, flags and the key's size
// share a word, at every size of key.
// Method: sizes around the steps of the allocator and around the first long key, each flag in each
// state with each kind of head; two threads that change what is theirs under a latch, while a third
// one reads.
#include "engine/node.h"

#include <atomic>
#include <mutex>
#include <thread>

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
        filed ? node->set(Node::kFiled) : node->clear(Node::kFiled);
        queued ? node->set(Node::kQueued) : node->clear(Node::kQueued);
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
  CHECK(bytes(65535) == AllocatedBytes(12 + 4 + 65535));
}

TEST_CASE("node: flags and heads that threads change under a latch are all kept (N3)") {
  constexpr int kRounds = 20000;
  Node* node = Node::New(KeyOf(20), 0);
  const VersionPtr versions[2] = {WithPayload(100, 'a'), WithPayload(100, 'b')};
  std::mutex latch;
  std::atomic<int> wrong{0}, running{2};
  const auto change = [&](Node::Flag own, Version* head) {
    bool flag = false;
    for (int i = 0; i < kRounds; ++i) {
      const std::lock_guard lock(latch);
      wrong += node->has(own) != flag;
      if (i % 3 == 0) {
        node->set_head(head);
        wrong += node->head() != head || node->has(own) != flag;
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
      const char fill = head == versions[0].get() ? 'a' : 'b';
      wrong += head->payload() != std::string(100, fill) || node->key() != KeyOf(20);
    }
  });
  std::thread filed(change, Node::kFiled, versions[0].get());
  std::thread queued(change, Node::kQueued, versions[1].get());
  filed.join();
  queued.join();
  reader.join();
  CHECK(wrong == 0);
  Node::Delete(node);
}

}  // namespace
}  // namespace fluxkv::engine
