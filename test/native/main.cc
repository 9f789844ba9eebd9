// The program around the test cases: the package's operators are there, and no test needs gradients.
#define DOCTEST_CONFIG_IMPLEMENT
#include <ATen/core/grad_mode.h>

#include "native/core/model/operator_library.h"
#include "test/native/testing.h"

int main(int count, char** arguments) {
  dg::registerOperators();
  const at::NoGradGuard noGrad;
  return doctest::Context(count, arguments).run();
}
