/** How much of the time previews may take, unless the user wants more of them. */
export const previewShare = 0.03;
