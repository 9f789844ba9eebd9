import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';

import { Pace } from '../../studio/src/state/pace';

interface News {
  step: number;
  state: string;
}

describe('news for the page', () => {
  const told: Partial<News>[] = [];
  const pace = () => new Pace<News>((news) => void told.push(news));
  beforeEach(() => {
    jest.useFakeTimers();
    told.length = 0;
  });
  afterEach(() => void jest.useRealTimers());

  test('of hundreds of steps the last one is passed on when the page looks', () => {
    const news = pace();
    for (let step = 1; step <= 300; step++) news.tellSoon({ step });
    expect(told).toEqual([]);
    expect(news.latest).toEqual({ step: 300 });
    jest.runAllTimers();
    expect(told).toEqual([{ step: 300 }]);
    news.tellSoon({ step: 301 });
    jest.runAllTimers();
    expect(told).toEqual([{ step: 300 }, { step: 301 }]);
  });

  test('what cannot wait takes with it what waits, and nothing comes twice', () => {
    const news = pace();
    news.tellSoon({ step: 7, state: 'running' });
    news.tell({ state: 'done' });
    jest.runAllTimers();
    expect(told).toEqual([{ step: 7, state: 'done' }]);
  });
});
