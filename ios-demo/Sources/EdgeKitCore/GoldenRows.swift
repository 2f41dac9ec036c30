/// The golden inputs with their labels and the outputs to expect, read and checked before anything is loaded.
struct GoldenRows: Sendable {
    let inputs: [[Tensor]]
    /// The true classes, if every row has one.
    let labels: [Int64]?
    private let expected: [[Expected]]

    private struct Expected: Sendable {
        let artifact: String?
        let tensor: Tensor
        let tolerance: Double
    }

    init(_ bundle: DroppedBundle) throws {
        let rows = bundle.manifest.golden
        guard !rows.isEmpty else { throw Failure(.nothingToRun, ["reason": "the bundle has no golden inputs"]) }
        inputs = try rows.map(bundle.inputs)
        let known = rows.compactMap(\.label)
        labels = known.count == rows.count ? known : nil
        expected = try rows.map { row in
            try row.outputs.map { Expected(artifact: $0.artifact, tensor: try bundle.read($0.tensor), tolerance: $0.maxAbsError) }
        }
    }

    /// What each row should give; nil if the bundle does not say.
    private func expected(_ artifact: String?, _ output: String) -> [Expected]? {
        let found = expected.compactMap { row in row.first { $0.artifact == artifact && $0.tensor.name == output } }
        return found.count == expected.count ? found : nil
    }

    /// Holds an artifact's outputs against the host's run of it and against the reference.
    func legs(_ manifest: Manifest, _ artifact: Artifact, _ outputs: [[Tensor]]) -> [Leg] {
        [LegName.device, .total].flatMap { name in
            manifest.outputs.enumerated().compactMap { index, spec in
                guard let right = expected(name == .device ? artifact.file : nil, spec.name) else { return nil }
                let host = name == .total ? expected(artifact.file, spec.name) : nil
                return leg(name, spec, right, outputs.map { $0[index] }, host, manifest.budget)
            }
        }
    }

    private func leg(
        _ name: LegName, _ spec: TensorSpec, _ right: [Expected], _ found: [Tensor], _ host: [Expected]?, _ budget: Budget
    ) -> Leg {
        let reference = right.flatMap { $0.tensor.doubles() }
        let shape = [found.reduce(0) { $0 + $1.shape[0] }] + found[0].shape.dropFirst()
        func measured(_ tensors: [Tensor]) -> Metrics {
            Metrics.measure(
                reference: reference, candidate: tensors.flatMap { $0.doubles() }, shape: shape,
                logits: spec.meaning == "logits", labels: labels)
        }
        let shares = zip(right, found).flatMap { right, found in
            zip(right.tensor.doubles(), found.doubles()).map { share(abs($0 - $1), of: right.tolerance) }
        }
        let metrics = measured(found)
        return Leg(
            leg: name, output: spec.name, metrics: metrics, worstShare: shares.max() ?? 0,
            limits: budget.limits(name, output: spec.name).judge(device: metrics, host: host.map { measured($0.map(\.tensor)) }))
    }

    /// An error as a share of what is allowed; a value that is not a number is infinitely wrong.
    private func share(_ error: Double, of tolerance: Double) -> Double {
        error.isNaN ? .infinity : error == 0 ? 0 : error / tolerance
    }
}
