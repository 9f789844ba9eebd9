#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dg {

// Where on a module's call a hook sits.
enum class TapSide {
  input,      // an argument of the call
  output,     // a tensor it returns
  query,      // the queries that enter an attention inside the module
  value,      // the values that enter it (what identity attention returns)
  attention,  // what the attention returns, before the output projection
};

const char* name(TapSide tap);
TapSide tapSideNamed(const std::string& name);  // throws BAD_OPTION

// One place in the model where a hidden state can be captured or edited. Its index in the model's list of sites, which
// is in order of evaluation, is the constant that the tap operator in the graph carries.
struct Site {
  std::string path;  // of the submodule, "blocks.3"
  TapSide tap = TapSide::output;
  int64_t element = 0;           // which argument, tuple element or attention of the module
  std::optional<int64_t> block;  // layer index, 0-based and counted through all block containers; block outputs only
  std::optional<std::string> stream;  // "image", "text"; block outputs only
  std::string className;              // TorchScript class of the submodule
  std::optional<int64_t> bypass;      // the site that replaces this one when the module is skipped
};

// A family of blocks in order of evaluation: paths that match `path` ("transformer_blocks.*"), whose outputs carry
// `streams`, aligned from the end (the last block of SD3 returns its image stream alone).
struct BlockPattern {
  std::string path;
  std::vector<std::string> streams;
};

// Which block a path is in; paths of blocks are no prefixes of each other.
class BlockPaths {
 public:
  explicit BlockPaths(const std::vector<Site>& sites);

  // Of the block itself, and of what is in it.
  std::optional<int64_t> blockOf(const std::string& path) const;

 private:
  std::map<std::string, int64_t> blocks_;
};

// `*` matches one component of a dotted path, `**` any number of them.
bool matches(const std::string& pattern, const std::string& path);

// The sites that an edit or a hook names. Throws SITE_NOT_FOUND with near matches, or the streams there are.
std::vector<int64_t> findSites(const std::vector<Site>& sites, const std::string& pattern, TapSide tap,
                               const std::optional<std::string>& stream);

}  // namespace dg
