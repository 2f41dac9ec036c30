/// The branch of ExecuTorch's Swift package that Package.swift pins: "swiftpm-1.5.1".
const char *_Nonnull edgekit_executorch_branch(void);
