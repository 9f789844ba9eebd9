#pragma once

#include <exception>

namespace dg {

// What an operator of this package throws inside a program. The interpreter passes on the text of an exception alone;
// its code would be lost.

// Keeps it for this thread; called before it is thrown on.
void keepFailure(std::exception_ptr failure);

// What was kept since this was last called; null: nothing.
std::exception_ptr takeFailure();

}  // namespace dg
