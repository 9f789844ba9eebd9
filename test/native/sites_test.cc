// Finding sites: paths, patterns, streams, blocks; and what a file that is no transformer is told.
#include <fstream>

#include "native/core/graph/site.h"
#include "test/native/testing.h"
#include "test/native/toy_model.h"

using namespace dg;

namespace {

struct Toy {
  ~Toy() { std::filesystem::remove(file); }

  std::string file = test::temporaryFile("sites.pt");
  std::unique_ptr<Model> model = test::loadToy(file);

  LoadOptions options() const {
    LoadOptions options;
    options.file = file;
    options.inputs = model->inputs();
    options.blocks = {{"blocks.*", {"image"}}};
    return options;
  }
};

}  // namespace

TEST_CASE("a pattern matches components of a path") {
  REQUIRE(matches("blocks.*", "blocks.3"));
  REQUIRE(!matches("blocks.*", "blocks.3.norm1"));
  REQUIRE(matches("blocks.**", "blocks.3.norm1.linear"));
  REQUIRE(matches("**.linear", "blocks.3.norm1.linear"));
  REQUIRE(matches("blocks.*.norm1.linear", "blocks.11.norm1.linear"));
  REQUIRE(!matches("blocks.1", "blocks.11"));
  REQUIRE(!matches("blocks.**", "blocks"));
  REQUIRE(matches("blocks.**.linear", "blocks.linear"));
  REQUIRE(matches("**", "blocks.3"));
  REQUIRE(!matches("*.*", "blocks"));
  // Trying out what every ** stands for would not end.
  std::string pattern, path;
  for (int i = 0; i < 100; ++i) {
    pattern += "**.a.";
    path += "a.";
  }
  REQUIRE(matches(pattern + "a", path + "a"));
  REQUIRE(!matches(pattern + "b", path + "a"));
}

TEST_CASE("blocks are numbered in order of evaluation") {
  const Toy toy;
  const auto& sites = toy.model->flat().sites;
  REQUIRE(toy.model->flat().blocks == 3);
  const auto outputs = findSites(sites, "blocks.*", TapSide::output, "image");
  REQUIRE(outputs.size() == 3);
  for (size_t i = 0; i < outputs.size(); ++i) REQUIRE(sites[outputs[i]].block == static_cast<int64_t>(i));
  REQUIRE(sites[outputs[1]].path == "blocks.second");
  // What stands in for a skipped block is what it was given.
  REQUIRE(sites[*sites[outputs[2]].bypass].path == "blocks.third");
  REQUIRE(sites[*sites[outputs[2]].bypass].tap == TapSide::input);
}

TEST_CASE("an input that the model does not use") {
  const Toy toy;
  auto module = torch::jit::load(toy.file);
  const auto file = test::temporaryFile("unused.pt");
  torch::jit::Module root("Unused");
  root.register_module("blocks", module.attr("blocks").toModule());
  root.define(R"JIT(
    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        h = x.flatten(2).transpose(1, 2)
        h = self.blocks.first.forward(h, torch.zeros([x.size(0), 8]))
        return h.transpose(1, 2).reshape([x.size(0), 8, 2, 2])
  )JIT");
  root.save(file);
  auto options = toy.options();
  options.file = file;
  const auto model = Model::load(options);
  const auto x = at::arange(8 * 4, at::kFloat).reshape({1, 8, 2, 2});
  const Values inputs{x, at::zeros({1}), at::zeros({1}, at::kLong)};
  // Its gate is zero, so that the block gives what it was given.
  REQUIRE(model->forward(inputs, {}, {}).equal(x));
  std::filesystem::remove(file);
}

TEST_CASE("a site that does not exist") {
  const Toy toy;
  const auto& sites = toy.model->flat().sites;
  REQUIRE_CODE("SITE_NOT_FOUND", findSites(sites, "block.*", TapSide::output, std::nullopt));
  REQUIRE_CODE("SITE_NOT_FOUND", findSites(sites, "blocks.*", TapSide::output, "text"));
  REQUIRE_CODE("SITE_NOT_FOUND", findSites(sites, "blocks.*", TapSide::attention, std::nullopt));
  REQUIRE_CODE("BAD_OPTION", tapSideNamed("outputs"));
}

TEST_CASE("a file that is no such transformer") {
  const Toy toy;
  auto options = toy.options();
  options.blocks = {{"layers.*", {"image"}}};
  REQUIRE_CODE("NOT_A_TRANSFORMER", Model::load(options));
  options = toy.options();
  options.inputs.pop_back();
  REQUIRE_CODE("BUNDLE_INVALID", Model::load(options));
  options = toy.options();
  options.device = at::Device("cuda:63");
  REQUIRE_CODE("DEVICE_UNAVAILABLE", Model::load(options));
  options = toy.options();
  options.file = test::temporaryFile("not-there.pt");
  REQUIRE_CODE("MODEL_UNREADABLE", Model::load(options));
  options = toy.options();
  std::filesystem::resize_file(toy.file, std::filesystem::file_size(toy.file) / 2);
  REQUIRE_CODE("MODEL_UNREADABLE", Model::load(options));
}
