// The wire tests' program: doctest's options, then the last server must stop with exit code 0.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>
#include <iostream>
#include <string>

#include <doctest/doctest.h>

#include "tests/wire/wire_case.h"

int main(int argc, char** argv) {
  std::cout << std::unitbuf;  // what has failed is told even when the program then hangs
  doctest::Context context(argc, argv);
  int result = context.run();
  std::string problem = fluxkv::wire::SharedServer::Instance().Stop();
  if (!problem.empty()) {
    std::fprintf(stderr, "%s\n", problem.c_str());
    return 1;
  }
  return result;
}
