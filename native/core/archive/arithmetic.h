#pragma once

namespace dg {

// TorchScript's whole numbers are divided by the processor, which ends the process for 5 % 0 and for the smallest
// number divided by -1, and its text grows as long as a program says, while the file is read: constants are computed
// then. The operators that do so are put in the registry again, as they were, with a look at what they are given. Once
// a process, before anything is compiled.
void guardArithmetic();

}  // namespace dg
