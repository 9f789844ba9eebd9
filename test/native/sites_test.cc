// Finding sites: paths, patterns, streams, blocks; and what a file that is no transformer is told.
#include <fstream>

#include "native/core/graph/site.h"
#include "native/core/hooks/tap.h"
#include "test/native/check.h"
#include "test/native/toy_model.h"

using namespace dg;

int main() {
  REQUIRE(matches("blocks.*", "blocks.3"));
  REQUIRE(!matches("blocks.*", "blocks.3.norm1"));
  REQUIRE(matches("blocks.**", "blocks.3.norm1.linear"));
  REQUIRE(matches("**.linear", "blocks.3.norm1.linear"));
  REQUIRE(matches("blocks.*.norm1.linear", "blocks.11.norm1.linear"));
  REQUIRE(!matches("blocks.1", "blocks.11"));

  const auto file = test::temporaryFile("sites.pt");
  const auto model = test::loadToy(file);
  const auto& sites = model->flat().sites;
  REQUIRE(model->flat().blocks == 3);
  const auto outputs = findSites(sites, "blocks.*", Tap::output, "image");
  REQUIRE(outputs.size() == 3);
  for (size_t i = 0; i < outputs.size(); ++i) REQUIRE(sites[outputs[i]].block == static_cast<int64_t>(i));
  REQUIRE(sites[outputs[1]].path == "blocks.second");
  // What stands in for a skipped block is what it was given.
  REQUIRE(sites[*sites[outputs[2]].bypass].path == "blocks.third");
  REQUIRE(sites[*sites[outputs[2]].bypass].tap == Tap::input);

  REQUIRE_THROWS("SITE_NOT_FOUND", findSites(sites, "block.*", Tap::output, std::nullopt));
  REQUIRE_THROWS("SITE_NOT_FOUND", findSites(sites, "blocks.*", Tap::output, "text"));
  REQUIRE_THROWS("SITE_NOT_FOUND", findSites(sites, "blocks.*", Tap::attention, std::nullopt));
  REQUIRE_THROWS("BAD_OPTION", tapNamed("outputs"));

  LoadOptions options;
  options.file = file;
  options.inputs = model->inputs();
  options.blocks = {{"layers.*", {"image"}}};
  REQUIRE_THROWS("NOT_A_TRANSFORMER", Model::load(options));
  options.blocks = {{"blocks.*", {"image"}}};
  options.inputs.pop_back();
  REQUIRE_THROWS("BUNDLE_INVALID", Model::load(options));
  options.inputs = model->inputs();
  options.device = at::Device("cuda:63");
  REQUIRE_THROWS("DEVICE_UNAVAILABLE", Model::load(options));
  options.device = at::kCPU;
  options.file = test::temporaryFile("not-there.pt");
  REQUIRE_THROWS("MODEL_UNREADABLE", Model::load(options));
  const auto size = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, size / 2);
  options.file = file;
  REQUIRE_THROWS("MODEL_UNREADABLE", Model::load(options));
  std::filesystem::remove(file);
  return 0;
}
