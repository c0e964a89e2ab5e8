// Threads: as the vector's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fluxkv {

// A vector that is filled and emptied again and again keeps the memory of its longest time. Call
// this after it was emptied or shortened, with the elements it had before: what is far more than
// they need goes back. Small vectors keep what they have.
template <class T>
void GiveBackRoom(std::vector<T>* vector, size_t elements_before) {
  constexpr size_t kKeptBytes = size_t{256} << 10;
  const size_t capacity = vector->capacity();
  if (capacity * sizeof(T) <= kKeptBytes) return;
  if (std::max(elements_before, vector->size()) >= capacity / 8) return;
  vector->shrink_to_fit();
}

}  // namespace fluxkv
