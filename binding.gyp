{
  # Delegates to CMake, so that `node-gyp rebuild` and Electron's rebuild tool give the same build/Release/*.node.
  # The addon speaks N-API only: one build serves every Node and Electron.
  "targets": [
    {
      "target_name": "detail_guidance",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["<(module_root_dir)/build/Release/detail_guidance.node"],
          "action": ["node", "<(module_root_dir)/setup/build.cjs"]
        }
      ]
    }
  ]
}
