#include "native/core/sampling/arrangement.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dg {

std::vector<int64_t> groupBranches(const BranchEdits& edits, const std::vector<int64_t>& branches, int64_t untilSite) {
  std::map<std::pair<int64_t, std::vector<int64_t>>, int64_t> groups;
  std::vector<int64_t> group;
  for (const auto branch : branches) {
    const auto& own = edits.branches[branch];
    std::vector<int64_t> acting;
    for (const auto edit : own.edits) {
      const auto& sites = edits.sitesOfEdit[edit];
      const bool acts = std::any_of(sites.begin(), sites.end(), [&](int64_t site) { return site < untilSite; });
      if (acts) acting.push_back(edit);
    }
    const auto next = static_cast<int64_t>(groups.size());
    group.push_back(groups.emplace(std::pair{own.conditioning, acting}, next).first->second);
  }
  return group;
}

int64_t countGroups(const std::vector<int64_t>& group) {
  return group.empty() ? 0 : *std::max_element(group.begin(), group.end()) + 1;
}

std::vector<int64_t> findCuts(const BranchEdits& edits, const std::vector<int64_t>& branches,
                              const std::vector<int64_t>& sites) {
  std::vector<int64_t> cuts;
  int64_t groups = countGroups(groupBranches(edits, branches, 0));
  for (const auto site : sites) {
    const auto after = countGroups(groupBranches(edits, branches, site + 1));
    if (after > groups) cuts.push_back(site);
    groups = after;
  }
  return cuts;
}

std::vector<SegmentRows> arrangeRows(const BranchEdits& edits, const std::vector<int64_t>& branches,
                                     const std::vector<int64_t>& cuts, int64_t sites) {
  std::vector<SegmentRows> segments;
  for (size_t k = 0; k <= cuts.size(); ++k) {
    SegmentRows rows;
    rows.firstSite = k == 0 ? 0 : cuts[k - 1];
    rows.endSite = k == cuts.size() ? sites : cuts[k];
    rows.group = groupBranches(edits, branches, rows.endSite);
    rows.branches.assign(countGroups(rows.group), -1);
    for (size_t b = 0; b < branches.size(); ++b) {
      const auto group = rows.group[b];
      if (rows.branches[group] >= 0) continue;
      rows.branches[group] = branches[b];
      if (k > 0) rows.source.push_back(segments.back().group[b]);
      for (const auto edit : edits.branches[branches[b]].edits) {
        for (const auto site : edits.sitesOfEdit[edit]) {
          if (rows.holds(site)) rows.edits.push_back({edit, site, group});
        }
      }
    }
    segments.push_back(std::move(rows));
  }
  return segments;
}

std::vector<std::pair<int64_t, std::vector<int64_t>>> recordedGroups(const std::vector<int64_t>& group,
                                                                     const std::vector<int64_t>& branches,
                                                                     const std::vector<int64_t>& recorded) {
  std::map<int64_t, std::vector<int64_t>> byGroup;
  for (const auto branch : recorded) {
    const auto position = std::find(branches.begin(), branches.end(), branch);
    if (position != branches.end()) byGroup[group[position - branches.begin()]].push_back(branch);
  }
  return {byGroup.begin(), byGroup.end()};
}

}  // namespace dg
