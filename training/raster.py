"""Path lengths of rays through closed meshes, thickness volumes and needles (numba; training only)."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.ndimage import distance_transform_edt

RADII_MM = np.array([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8.5, 10, 12, 15, 20])
SUB = 256  # sub-pixel steps of the fixed-point rasteriser: shared edges are counted exactly once


@njit(cache=True)
def path_length(uvw, faces, size):
    """Signed sum of depths along each pixel's ray: (S, S) mm of axial depth inside the mesh.

    uvw: (V, 3) column px, row px, depth mm along the beam axis.
    """
    out = np.zeros((size, size))
    for k in range(faces.shape[0]):
        a, b, c = faces[k, 0], faces[k, 1], faces[k, 2]
        x0, y0 = np.int64(round(uvw[a, 0] * SUB)), np.int64(round(uvw[a, 1] * SUB))
        x1, y1 = np.int64(round(uvw[b, 0] * SUB)), np.int64(round(uvw[b, 1] * SUB))
        x2, y2 = np.int64(round(uvw[c, 0] * SUB)), np.int64(round(uvw[c, 1] * SUB))
        z0, z1, z2 = 1 / uvw[a, 2], 1 / uvw[b, 2], 1 / uvw[c, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0:
            continue
        sign = 1.0
        if area < 0:
            x1, x2, y1, y2, z1, z2 = x2, x1, y2, y1, z2, z1
            area = -area
            sign = -1.0
        c_lo, c_hi = max(0, -(-min(x0, x1, x2) // SUB)), min(size - 1, max(x0, x1, x2) // SUB)
        r_lo, r_hi = max(0, -(-min(y0, y1, y2) // SUB)), min(size - 1, max(y0, y1, y2) // SUB)
        t0 = (y2 == y1 and x2 < x1) or y2 < y1
        t1 = (y0 == y2 and x0 < x2) or y0 < y2
        t2 = (y1 == y0 and x1 < x0) or y1 < y0
        for r in range(r_lo, r_hi + 1):
            py = r * SUB
            for q in range(c_lo, c_hi + 1):
                px = q * SUB
                e0 = (x2 - x1) * (py - y1) - (y2 - y1) * (px - x1)
                e1 = (x0 - x2) * (py - y2) - (y0 - y2) * (px - x2)
                e2 = (x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)
                if (e0 > 0 or (e0 == 0 and t0)) and (e1 > 0 or (e1 == 0 and t1)) and (e2 > 0 or (e2 == 0 and t2)):
                    out[r, q] += sign * area / (e0 * z0 + e1 * z1 + e2 * z2)
    return out


@njit(cache=True)
def occupancy(vertices, faces, origin, pitch, shape):
    """Voxels whose centres lie inside a closed mesh: (X, Y, Z) bool."""
    out = np.zeros(shape, np.int16)
    v = (vertices - origin) / pitch
    for k in range(faces.shape[0]):
        a, b, c = v[faces[k, 0]], v[faces[k, 1]], v[faces[k, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-12:
            continue
        i_lo, i_hi = max(0, int(np.ceil(min(a[0], b[0], c[0])))), min(shape[0] - 1, int(np.floor(max(a[0], b[0], c[0]))))
        j_lo, j_hi = max(0, int(np.ceil(min(a[1], b[1], c[1])))), min(shape[1] - 1, int(np.floor(max(a[1], b[1], c[1]))))
        for i in range(i_lo, i_hi + 1):
            for j in range(j_lo, j_hi + 1):
                w0 = ((b[0] - i) * (c[1] - j) - (c[0] - i) * (b[1] - j)) / area
                w1 = ((c[0] - i) * (a[1] - j) - (a[0] - i) * (c[1] - j)) / area
                w2 = 1 - w0 - w1
                if w0 >= 0 and w1 >= 0 and w2 >= 0:
                    z = int(np.ceil(w0 * a[2] + w1 * b[2] + w2 * c[2]))
                    z = max(0, min(z, shape[2] - 1))
                    out[i, j, z] += 1 if area < 0 else -1
    for i in range(shape[0]):
        for j in range(shape[1]):
            s = 0
            for z in range(shape[2]):
                s += out[i, j, z]
                out[i, j, z] = s
    return out > 0


def local_thickness(inside: np.ndarray, pitch: float) -> np.ndarray:
    """Diameter of the largest inscribed sphere holding each voxel (Hildebrand and Rueegsegger 1997) [mm], 0 outside."""
    radius = np.maximum(distance_transform_edt(inside) - 0.5, 0.3) * pitch * inside
    out = np.zeros(inside.shape, np.float32)
    for r, following in zip(RADII_MM[:-1], RADII_MM[1:], strict=True):
        centres = radius >= r
        if not centres.any():
            break
        near = distance_transform_edt(~centres) * pitch <= r + 0.6 * pitch  # centres stand for whole voxels
        out[near & inside] = r + following  # the true radius lies between this step and the next
    out[inside & (out == 0)] = 1.0
    return np.minimum(out, 2 * radius.max() + 0.5)


@njit(cache=True)
def thickness_samples(volume, origin, pitch, source, corner, right, down, size, step, seed):
    """Local thickness at three random depths inside the bone along each ray, and the path in bone: (S, S, 4)."""
    np.random.seed(seed)
    out = np.zeros((size, size, 4), np.float32)
    n = np.array(volume.shape)
    for r in range(size):
        for q in range(size):
            d = corner + right * q + down * r - source
            d = d / np.sqrt((d**2).sum())
            lo, hi = 0.0, 1e9
            for k in range(3):
                if abs(d[k]) < 1e-9:
                    continue
                t0, t1 = (origin[k] - source[k]) / d[k], (origin[k] + (n[k] - 1) * pitch - source[k]) / d[k]
                lo, hi = max(lo, min(t0, t1)), min(hi, max(t0, t1))
            count = 0
            t = lo + step * np.random.random()
            while t < hi:
                i = int((source[0] + t * d[0] - origin[0]) / pitch + 0.5)
                j = int((source[1] + t * d[1] - origin[1]) / pitch + 0.5)
                k = int((source[2] + t * d[2] - origin[2]) / pitch + 0.5)
                if 0 <= i < n[0] and 0 <= j < n[1] and 0 <= k < n[2] and volume[i, j, k] > 0:
                    count += 1
                    for s in range(3):
                        if np.random.random() * count < 1:
                            out[r, q, s] = volume[i, j, k]
                t += step
            out[r, q, 3] = count * step
    return out


@njit(cache=True)
def needle_chord(source, corner, right, down, size, tip, axis, radius, inner, taper, length):
    """Steel along each ray [mm] (mean of 2 x 2 sub-pixels): cylinder with a cone of height `taper` at the tip."""
    out = np.zeros((size, size))
    wx, wy, wz = tip[0] - source[0], tip[1] - source[1], tip[2] - source[2]
    aw = axis[0] * wx + axis[1] * wy + axis[2] * wz
    pixel = np.sqrt((right**2).sum())
    for r in range(size):
        for q in range(size):
            for sub in range(4):
                fq, fr = q - 0.25 + 0.5 * (sub % 2), r - 0.25 + 0.5 * (sub // 2)
                dx = corner[0] + right[0] * fq + down[0] * fr - source[0]
                dy = corner[1] + right[1] * fq + down[1] * fr - source[1]
                dz = corner[2] + right[2] * fq + down[2] * fr - source[2]
                n = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
                dx, dy, dz = dx * n, dy * n, dz * n
                kx, ky, kz = dy * axis[2] - dz * axis[1], dz * axis[0] - dx * axis[2], dx * axis[1] - dy * axis[0]
                sine = max(np.sqrt(kx * kx + ky * ky + kz * kz), 0.05)
                rho = abs(wx * kx + wy * ky + wz * kz) / sine
                if rho > radius:
                    if rho > radius + 8 * pixel:
                        break
                    continue
                b = dx * axis[0] + dy * axis[1] + dz * axis[2]
                s = ((dx * wx + dy * wy + dz * wz) * b - aw) / max(1 - b * b, 1e-4)
                if s < 0 or s > length:
                    continue
                here = radius * min(1.0, s / taper) if taper > 0 else radius
                if rho >= here:
                    continue
                chord = 2 * np.sqrt(here * here - rho * rho) / sine
                if inner > 0 and rho < inner and s > taper:
                    chord -= 2 * np.sqrt(inner * inner - rho * rho) / sine
                out[r, q] += min(chord, length) / 4
    return out
