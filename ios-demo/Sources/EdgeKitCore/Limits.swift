/// What drift is allowed: the limits of the legs that a device has.
public struct Budget: Decodable, Sendable {
    private struct Legs: Decodable, Sendable {
        let device: Limits?
        let total: Limits?
    }

    private let all: Legs
    private let outputs: [String: Legs]

    public init(from decoder: any Decoder) throws {
        all = try Legs(from: decoder)
        outputs = try decoder.container(keyedBy: Key.self).decodeIfPresent([String: Legs].self, forKey: Key("outputs")) ?? [:]
    }

    /// The limits of a leg for one output: its own are put over those for all outputs. Older bundles have no leg `device`.
    public func limits(_ leg: LegName, output: String) -> Limits {
        func of(_ legs: Legs?) -> Limits {
            switch leg {
            case .device: legs?.device ?? Limits(values: [:])
            case .total: legs?.total ?? Limits(values: [:])
            }
        }
        return Limits(values: of(all).values.merging(of(outputs[output]).values) { _, own in own })
    }
}

/// The legs that end on a device: from the host's run of the same artifact, and from the float reference.
public enum LegName: String, Sendable {
    case device, total
}

/// Limits of one leg by the SDK's names; the project's own, under `custom`, as `min_NAME` and `max_NAME`.
public struct Limits: Decodable, Sendable {
    let values: [String: Double]

    init(values: [String: Double]) { self.values = values }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        var found: [String: Double] = [:]
        for key in container.allKeys where key.stringValue != "custom" {
            found[key.stringValue] = try container.decodeIfPresent(Double.self, forKey: key)
        }
        let custom = try container.decodeIfPresent([String: [String: Double?]].self, forKey: Key("custom")) ?? [:]
        for (name, ends) in custom {
            for (end, limit) in ends { found["\(end)_\(name)"] = limit }
        }
        values = found
    }
}

/// What became of a limit.
public enum LimitResult: String, Sendable {
    case kept, broken
    /// The app does not know the metric, or the host breaks the limit on these few inputs, too.
    case notJudged = "not_judged"
}

/// A limit held against a metric on the golden inputs.
public struct Judged: Sendable {
    public let limit: String
    public let metric: String
    /// What was measured; nil: it does not apply, or is infinite.
    public let value: Double?
    public let bound: Double
    public let result: LimitResult
}

extension Limits {
    /// In the order of the SDK's rules (`edgekit/spec/limits.py`).
    private static let rules = [
        "min_sqnr_db", "max_abs_error", "max_mean_abs_error", "min_cosine", "min_top1_agreement", "min_top5_agreement",
        "max_kl_divergence", "max_accuracy_drop", "min_accuracy_ratio", "min_pixel_agreement", "min_iou_agreement",
        "max_mean_iou_drop", "min_mean_iou_ratio", "min_map_agreement", "max_mean_ap_drop", "min_mean_ap_ratio",
        "min_neighbour_agreement", "min_r2_agreement", "max_r2_drop", "min_r2_ratio", "max_mae_ratio",
    ]
    // Rounding of the arithmetic must not break a limit that is met exactly.
    private static let exact = 1e-12

    /// Holds the metrics of one output against these limits.
    ///
    /// So few samples are the golden inputs that a limit may be broken on them by the artifact itself: where the host's
    /// own outputs are known, only what they keep can be broken by this device.
    ///
    /// - Parameters:
    ///   - device: Metrics of what this device computed.
    ///   - host: The same of what the host computed from the same inputs; nil: every break is this device's.
    public func judge(device: Metrics, host: Metrics?) -> [Judged] {
        let own = values.keys.filter { !Self.rules.contains($0) }.sorted()
        return (Self.rules.filter { values[$0] != nil } + own).map { name in
            let metric = name == "max_abs_error" ? name : String(name.dropFirst(4)), bound = values[name]!
            let value = device.value(metric)
            let result: LimitResult =
                if own.contains(name) || value == nil { .notJudged }
                else if !Self.breaks(name, value!, bound) { .kept }
                else if let host, host.value(metric).map({ Self.breaks(name, $0, bound) }) ?? true { .notJudged }
                else { .broken }
            return Judged(
                limit: name, metric: metric, value: value.flatMap { $0.isFinite ? $0 : nil }, bound: bound, result: result)
        }
    }

    private static func breaks(_ limit: String, _ value: Double, _ bound: Double) -> Bool {
        let sign: Double = limit.hasPrefix("min_") ? 1 : -1
        return sign * value < sign * bound - exact * max(1, abs(bound))
    }
}

extension Metrics {
    /// A metric by the SDK's name, or what follows from one; nil if it does not apply. Identical outputs have no noise.
    func value(_ metric: String) -> Double? {
        switch metric {
        case "sqnr_db": return sqnrDB ?? .infinity
        case "accuracy_drop":
            guard let accuracy, let referenceAccuracy else { return nil }
            return referenceAccuracy - accuracy
        case "accuracy_ratio":
            guard let accuracy, let referenceAccuracy else { return nil }
            return referenceAccuracy == 0 ? 1 : 1 - (referenceAccuracy - accuracy) / abs(referenceAccuracy)
        default: return named.first { $0.name == metric }?.value
        }
    }
}
