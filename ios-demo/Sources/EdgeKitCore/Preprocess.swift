/// A decoded picture: bytes of shape (height, width, channels), before its EXIF orientation is applied.
public struct Picture: Sendable {
    public let width: Int
    public let height: Int
    /// 1: grey, 3: RGB, 4: RGBA, not premultiplied.
    public let channels: Int
    public let pixels: [UInt8]
    /// What EXIF says, 1 to 8.
    public let orientation: Int

    /// Returns nil if the pixels are not as many as the sizes say.
    public init?(width: Int, height: Int, channels: Int, pixels: [UInt8], orientation: Int = 1) {
        guard width > 0, height > 0, [1, 3, 4].contains(channels), pixels.count == width * height * channels else { return nil }
        self.width = width
        self.height = height
        self.channels = channels
        self.pixels = pixels
        self.orientation = 1...8 ~= orientation ? orientation : 1
    }
}

/// Turns a picture into a batch of one input, exactly as `preprocess.py`, `place.py` and `resample.py` in `edgekit/data`
/// describe it step by step.
public func preprocess(_ picture: Picture, _ spec: Preprocessing, name: String) -> Tensor {
    let upright = flattened(picture, spec)
    let place = Place(width: upright.width, height: upright.height, spec.resize)
    var planes = upright.cropped(place.kept)
    planes = resampled(planes, to: place.width, within: place.columns, spec.resize, rows: true)
    planes = resampled(planes, to: place.height, within: place.lines, spec.resize, rows: false)
    return normalized(planes.laid(place, spec.resize), spec, name: name)
}

/// Bytes of shape (height, width, channels), in the orientation of a person who looks at them.
struct Pixels {
    var width: Int
    var height: Int
    var channels: Int
    var bytes: [UInt8]

    func cropped(_ box: (left: Int, top: Int, width: Int, height: Int)) -> Pixels {
        if box.width == width && box.height == height { return self }
        var kept: [UInt8] = []
        kept.reserveCapacity(box.width * box.height * channels)
        for row in box.top..<box.top + box.height {
            let start = (row * width + box.left) * channels
            kept += bytes[start..<start + box.width * channels]
        }
        return Pixels(width: box.width, height: box.height, channels: channels, bytes: kept)
    }

    /// Lays what is smaller than the input on its grey.
    func laid(_ place: Place, _ input: Preprocessing.Resize) -> Pixels {
        if width == input.width && height == input.height { return self }
        let grey = UInt8(input.pad ?? 0)
        var all = [UInt8](repeating: grey, count: input.width * input.height * channels)
        for row in 0..<height {
            let from = row * width * channels
            let to = ((row + max(0, place.top)) * input.width + max(0, place.left)) * channels
            all.replaceSubrange(to..<to + width * channels, with: bytes[from..<from + width * channels])
        }
        return Pixels(width: input.width, height: input.height, channels: channels, bytes: all)
    }
}

/// Turns the picture upright, lays transparent pixels over the background, and brings it to grey or RGB.
private func flattened(_ picture: Picture, _ spec: Preprocessing) -> Pixels {
    let swaps = picture.orientation >= 5
    let width = swaps ? picture.height : picture.width, height = swaps ? picture.width : picture.height
    let channels = spec.channels
    var bytes = [UInt8](repeating: 0, count: width * height * channels)
    for y in 0..<height {
        for x in 0..<width {
            let (column, row) = source(x, y, picture)
            let at = (row * picture.width + column) * picture.channels
            let (red, green, blue) = rgb(picture, at, spec.background)
            let to = (y * width + x) * channels
            if channels == 1 {
                bytes[to] = UInt8((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)
            } else {
                bytes[to] = UInt8(red)
                bytes[to + 1] = UInt8(green)
                bytes[to + 2] = UInt8(blue)
            }
        }
    }
    return Pixels(width: width, height: height, channels: channels, bytes: bytes)
}

/// Where in the stored picture the upright picture's pixel (x, y) lies.
private func source(_ x: Int, _ y: Int, _ picture: Picture) -> (column: Int, row: Int) {
    let right = picture.width - 1, bottom = picture.height - 1
    return switch picture.orientation {
    case 2: (right - x, y)
    case 3: (right - x, bottom - y)
    case 4: (x, bottom - y)
    case 5: (y, x)
    case 6: (y, bottom - x)
    case 7: (right - y, bottom - x)
    case 8: (right - y, x)
    default: (x, y)
    }
}

private func rgb(_ picture: Picture, _ at: Int, _ background: Int) -> (Int, Int, Int) {
    let pixels = picture.pixels
    if picture.channels == 1 {
        let grey = Int(pixels[at])
        return (grey, grey, grey)
    }
    let (red, green, blue) = (Int(pixels[at]), Int(pixels[at + 1]), Int(pixels[at + 2]))
    if picture.channels == 3 { return (red, green, blue) }
    let alpha = Int(pixels[at + 3])
    return (over(red, alpha, background), over(green, alpha, background), over(blue, alpha, background))
}

/// A transparent pixel over a background, in integers.
private func over(_ value: Int, _ alpha: Int, _ background: Int) -> Int {
    let t = (value * alpha + background * (255 - alpha) + 128) << 7
    return (((t >> 8) + t) >> 8) >> 7
}

/// Scale, mean, standard deviation and the order of the axes; every step and every constant is rounded to float32. Or the
/// order alone, where the model does the rest.
private func normalized(_ picture: Pixels, _ spec: Preprocessing, name: String) -> Tensor {
    let channels = picture.channels, area = picture.width * picture.height
    let sizes = [picture.height, picture.width]
    let shape = spec.layout == .nchw ? [1, channels] + sizes : [1] + sizes + [channels]
    /// Where a pixel's channel is taken from, and where it goes.
    func places(_ pixel: Int, _ channel: Int) -> (from: Int, to: Int) {
        let from = spec.color == .bgr ? channels - 1 - channel : channel
        return (pixel * channels + from, spec.layout == .nchw ? channel * area + pixel : pixel * channels + channel)
    }
    if spec.inGraph ?? false {
        var bytes = [UInt8](repeating: 0, count: area * channels)
        for pixel in 0..<area {
            for channel in 0..<channels {
                let (from, to) = places(pixel, channel)
                bytes[to] = picture.bytes[from]
            }
        }
        return Tensor(name: name, shape: shape, values: bytes)
    }
    let scale = Float(spec.scale)
    let mean = (0..<channels).map { Float(spec.mean[spec.mean.count == 1 ? 0 : $0]) }
    let std = (0..<channels).map { Float(spec.std[spec.std.count == 1 ? 0 : $0]) }
    var floats = [Float](repeating: 0, count: area * channels)
    for pixel in 0..<area {
        for channel in 0..<channels {
            let (from, to) = places(pixel, channel)
            floats[to] = (Float(picture.bytes[from]) * scale - mean[channel]) / std[channel]
        }
    }
    return Tensor(name: name, shape: shape, floats: floats)
}
