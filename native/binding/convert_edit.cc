#include "native/binding/convert.h"

namespace dg::binding {

Edit edit(const Napi::Object& from) {
  Edit result;
  result.path = text(from, "path");
  result.tap = tapSideNamed(optionalText(from, "tap").value_or("output"));
  result.stream = optionalText(from, "stream");
  result.operation = operationNamed(text(from, "operation"));
  // The queries are what a blur of the attention acts on.
  if (result.operation == Operation::blur && result.tap == TapSide::attention) result.tap = TapSide::query;
  result.channels = optionalIntegers(from, "channels");
  result.tokens = optionalIntegers(from, "tokens");
  result.lastTokens = whole(from, "lastTokens", 0);
  result.retention = optionalNumbers(from, "retention");
  result.scale = optionalNumbers(from, "scale");
  result.shift = optionalNumbers(from, "shift");
  if (!isAbsent(from.Get("source"))) result.source = tensor(from.Get("source"));
  result.reference = optionalIntegers(from, "reference").value_or(std::vector<int64_t>{});
  result.sigma = number(from, "sigma", 0);
  if (const auto grid = optionalIntegers(from, "grid"); grid && grid->size() == 2) {
    result.grid = std::pair{grid->at(0), grid->at(1)};
  }
  result.seed = static_cast<uint64_t>(whole(from, "seed", 0));
  return result;
}

}  // namespace dg::binding
