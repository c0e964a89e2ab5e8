#define DOCTEST_CONFIG_IMPLEMENT
#include <iostream>

#include <doctest/doctest.h>

int main(int argc, char** argv) {
  std::cout << std::unitbuf;  // what has failed is told even when the program then hangs
  return doctest::Context(argc, argv).run();
}
