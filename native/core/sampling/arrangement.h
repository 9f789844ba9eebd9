#pragma once

#include <cstdint>
#include <vector>

#include "native/core/sampling/plan.h"

namespace dg {

// Which rows of a batch carry which branch, and where the model is cut between them. Decided from the plan alone,
// before anything runs: branches of the same conditioning are the same rows until the first site whose edit tells them
// apart. Sites are counted in order of evaluation.

// What the decision is made of.
struct BranchEdits {
  const std::vector<Branch>& branches;                   // of the plan
  const std::vector<std::vector<int64_t>>& sitesOfEdit;  // per edit of the plan: the sites it acts on
};

// For each of `wanted` (indices into the branches) its group: branches of one group have the same hidden state before
// site `untilSite`. Groups are numbered in the order in which they appear.
std::vector<int64_t> groupBranches(const BranchEdits& edits, const std::vector<int64_t>& branches, int64_t untilSite);

int64_t countGroups(const std::vector<int64_t>& group);

// The sites at which a group falls apart, among `sites` (in order): where the model is cut for partial forward.
std::vector<int64_t> findCuts(const BranchEdits& edits, const std::vector<int64_t>& branches,
                              const std::vector<int64_t>& sites);

// An edit that acts within a segment, on the rows of a group.
struct SegmentEdit {
  int64_t edit;
  int64_t site;
  int64_t group;
};

// The model between two cuts: sites from `firstSite` to the one before `endSite`.
struct SegmentRows {
  int64_t firstSite = 0;
  int64_t endSite = 0;
  std::vector<int64_t> group;     // per wanted branch
  std::vector<int64_t> branches;  // per group: the branch that stands for it
  std::vector<int64_t>
      source;  // per group: the group of the segment before that its rows come from; empty in the first
  std::vector<SegmentEdit> edits;

  bool holds(int64_t site) const { return site >= firstSite && site < endSite; }
};

// One segment more than there are cuts; the last one's groups tell all edits apart that act on any of `sites` sites.
std::vector<SegmentRows> arrangeRows(const BranchEdits& edits, const std::vector<int64_t>& branches,
                                     const std::vector<int64_t>& cuts, int64_t sites);

// For each group of a segment those of `recorded` (indices into the plan's branches) that it carries; groups without
// any are left out.
std::vector<std::pair<int64_t, std::vector<int64_t>>> recordedGroups(const std::vector<int64_t>& group,
                                                                     const std::vector<int64_t>& branches,
                                                                     const std::vector<int64_t>& recorded);

}  // namespace dg
