/** A program that fills the page's gallery, for tests and for what is measured. */
export function fillGallery(count: number, png: Uint8Array, size = 28): string {
  return `new Promise((resolve, reject) => {
    const request = indexedDB.open('detail-guidance', 1);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const transaction = request.result.transaction(['pictures', 'bytes'], 'readwrite');
      const text = atob('${Buffer.from(png).toString('base64')}');
      const bytes = new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], { type: 'image/png' });
      for (let at = 0; at < ${count}; at++) {
        const kept = { id: String(at), created: at, bundle: 'embedded', title: 'Picture ' + at, request: {}, seed: at };
        const facts = { width: ${size}, height: ${size}, evaluations: 1, cost: 1, seconds: 1 };
        transaction.objectStore('pictures').put({ ...kept, ...facts });
        transaction.objectStore('bytes').put(bytes, String(at));
      }
      transaction.oncomplete = () => resolve(null);
      transaction.onabort = () => reject(transaction.error);
    };
  })`;
}
