/**
 * The patch releases that fix security problems, by series. Source: the "Security" sections of CHANGELOG.md @v4.6.5,
 * v4.5.15, v4.4.22, v4.3.23. Later releases were not looked at, nor series without an entry.
 */
export const SECURITY_PATCHES: Readonly<Record<string, readonly number[]>> = {
  '4.2': [4, 5, 6, 7, 9, 10],
  '4.3': [2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23],
  '4.4': [2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21],
  '4.5': [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
  '4.6': [1, 2, 3, 4],
}
