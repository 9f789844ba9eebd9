#pragma once

namespace dg {

// Registers the operators of this package (operators/define.h, graph/interruption.h, hooks/tap.h) once per process;
// again is fine. Throws ADDON_DUPLICATE where another copy of this library in the process has done so.
void registerOperators();

}  // namespace dg
