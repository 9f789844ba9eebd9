// Which rows carry which branch, and where the model is cut: decided without a model.
#include "native/core/sampling/arrangement.h"

#include "test/native/testing.h"

using namespace dg;

namespace {

// Edit 0 acts at sites 2 and 7, edit 1 at site 5.
const std::vector<std::vector<int64_t>> kSitesOfEdit{{2, 7}, {5}};
// Conditional, unconditional, and the conditional one edited in three ways.
const std::vector<Branch> kBranches{{0, {}}, {1, {}}, {0, {0}}, {0, {1}}, {0, {0, 1}}};
const BranchEdits kEdits{kBranches, kSitesOfEdit};
const std::vector<int64_t> kAll{0, 1, 2, 3, 4};

using Indices = std::vector<int64_t>;

}  // namespace

TEST_CASE("branches are one until an edit tells them apart") {
  REQUIRE(groupBranches(kEdits, kAll, 0) == Indices{0, 1, 0, 0, 0});
  REQUIRE(groupBranches(kEdits, kAll, 2) == Indices{0, 1, 0, 0, 0});
  REQUIRE(groupBranches(kEdits, kAll, 3) == Indices{0, 1, 2, 0, 2});
  REQUIRE(groupBranches(kEdits, kAll, 6) == Indices{0, 1, 2, 3, 4});
  REQUIRE(groupBranches(kEdits, {3, 2}, 3) == Indices{0, 1});
  REQUIRE(countGroups({0, 1, 0, 2}) == 3);
  REQUIRE(countGroups({}) == 0);
}

TEST_CASE("the model is cut where a group falls apart") {
  REQUIRE(findCuts(kEdits, kAll, {2, 5, 7}) == Indices{2, 5});
  REQUIRE(findCuts(kEdits, {0, 1}, {2, 5, 7}).empty());
  REQUIRE(findCuts(kEdits, {0, 3}, {2, 5, 7}) == Indices{5});
  REQUIRE(findCuts(kEdits, {2}, {2, 5, 7}).empty());  // nobody to share with
}

TEST_CASE("rows of a segment come from the group they were in") {
  const auto segments = arrangeRows(kEdits, kAll, {2, 5}, 9);
  REQUIRE(segments.size() == 3);
  REQUIRE(segments[0].branches == Indices{0, 1});
  REQUIRE(segments[0].source.empty());
  REQUIRE(segments[0].edits.empty());
  REQUIRE(segments[1].branches == Indices{0, 1, 2});
  REQUIRE(segments[1].source == Indices{0, 1, 0});
  REQUIRE(segments[2].branches == kAll);
  REQUIRE(segments[2].source == Indices{0, 1, 2, 0, 2});
  for (const auto& segment : segments) REQUIRE(segment.group.size() == kAll.size());
  // A cut belongs to the segment behind it.
  REQUIRE(segments[0].holds(1));
  REQUIRE(!segments[0].holds(2));
  REQUIRE(segments[1].holds(2));
  REQUIRE(segments[2].holds(8));
}

TEST_CASE("edits act on the rows of their group, in the segment of their site") {
  const auto segments = arrangeRows(kEdits, kAll, {2, 5}, 9);
  const auto actsOn = [&](size_t segment, int64_t edit, int64_t site, int64_t group) {
    for (const auto& each : segments[segment].edits) {
      if (each.edit == edit && each.site == site && each.group == group) return true;
    }
    return false;
  };
  REQUIRE(segments[1].edits.size() == 1);  // both branches of edit 0 are one group
  REQUIRE(actsOn(1, 0, 2, 2));
  REQUIRE(segments[2].edits.size() == 4);
  REQUIRE(actsOn(2, 0, 7, 2));
  REQUIRE(actsOn(2, 0, 7, 4));
  REQUIRE(actsOn(2, 1, 5, 3));
  REQUIRE(actsOn(2, 1, 5, 4));
}

TEST_CASE("without cuts every branch has rows of its own from the start") {
  const auto segments = arrangeRows(kEdits, kAll, {}, 9);
  REQUIRE(segments.size() == 1);
  REQUIRE(segments[0].branches == kAll);
  REQUIRE(segments[0].edits.size() == 6);
}

TEST_CASE("recorded branches by the group that carries them") {
  const auto groups = recordedGroups({0, 1, 0}, {0, 1, 2}, {2, 0, 4});
  REQUIRE(groups.size() == 1);
  REQUIRE(groups[0].first == 0);
  REQUIRE(groups[0].second == Indices{2, 0});
  REQUIRE(recordedGroups({0}, {3}, {1}).empty());
}
